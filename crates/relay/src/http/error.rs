//! Errors in the wire's one shape.

use core::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{RelayError, StoreError};

/// The kinds of error the wire knows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum ErrorKind {
    Authentication,
    Permission,
    NotFound,
    InvalidRequest,
    Conflict,
    RateLimit,
    Api,
}

impl ErrorKind {
    fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::InvalidRequest => "invalid_request_error",
            Self::Conflict => "conflict_error",
            Self::RateLimit => "rate_limit_error",
            Self::Api => "api_error",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Authentication => StatusCode::UNAUTHORIZED,
            Self::Permission => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Conflict => StatusCode::CONFLICT,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Api => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// When to try again, in seconds.
    fn retry_after(self) -> Option<HeaderValue> {
        match self {
            Self::RateLimit => Some(HeaderValue::from_static("2")),
            Self::Api => Some(HeaderValue::from_static("1")),
            Self::Authentication
            | Self::Permission
            | Self::NotFound
            | Self::InvalidRequest
            | Self::Conflict => None,
        }
    }
}

/// A request that was not served.
#[derive(Debug)]
pub(super) struct ApiError {
    kind: ErrorKind,
    status: StatusCode,
    message: String,
    /// When to try again, if that is known better than by the kind.
    retry_after: Option<Duration>,
}

impl ApiError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (status, message) = (kind.status(), message.into());
        Self {
            kind,
            status,
            message,
            retry_after: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn with_retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    pub(super) fn with_message(self, message: String) -> Self {
        Self { message, ..self }
    }
}

impl From<RelayError> for ApiError {
    fn from(error: RelayError) -> Self {
        let kind = match &error {
            RelayError::SessionNotFound(_) => ErrorKind::NotFound,
            RelayError::Archived | RelayError::Superseded => ErrorKind::Conflict,
            RelayError::Forbidden { .. } => ErrorKind::Permission,
            RelayError::LeaseLost => {
                let error = Self::new(ErrorKind::NotFound, error.to_string());
                return error.with_status(StatusCode::GONE);
            }
            RelayError::WorkerStateTooLarge(_) => {
                return Self::invalid(error.to_string()).with_status(StatusCode::PAYLOAD_TOO_LARGE);
            }
            RelayError::Refused(_) => ErrorKind::InvalidRequest,
            RelayError::TooManyOpenRequests(_) | RelayError::AgentBehind(_) => ErrorKind::RateLimit,
            RelayError::Store(error) => return store_error(error),
            RelayError::Stopped | RelayError::NoRandomness => ErrorKind::Api,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        store_error(&error)
    }
}

fn store_error(error: &StoreError) -> ApiError {
    match error {
        StoreError::UnknownSession => {
            ApiError::new(ErrorKind::NotFound, "there is no such session")
        }
        StoreError::UnknownCursor => ApiError::new(
            ErrorKind::NotFound,
            "there is nothing with the id in `after_id`",
        ),
        StoreError::NotKept { .. } => {
            ApiError::new(ErrorKind::NotFound, error.to_string()).with_status(StatusCode::GONE)
        }
        StoreError::SessionExists => ApiError::new(ErrorKind::Conflict, error.to_string()),
        StoreError::Backend(_) => {
            tracing::error!(%error, "the store failed");
            ApiError::new(ErrorKind::Api, "the relay's store failed; try again")
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            r#type: &'static str,
            error: Inner,
        }
        #[derive(Serialize)]
        struct Inner {
            r#type: &'static str,
            message: String,
        }
        let Self {
            kind,
            status,
            message,
            retry_after,
        } = self;
        let error = Inner {
            r#type: kind.name(),
            message,
        };
        let mut response = (
            status,
            Json(Body {
                r#type: "error",
                error,
            }),
        )
            .into_response();
        let stated = retry_after.map(|wait| HeaderValue::from(wait.as_secs() + 1));
        if let Some(seconds) = stated.or(kind.retry_after()) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
