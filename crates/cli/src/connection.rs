//! From options to a way to the server.

use attache_tokio::{BaseUrl, BaseUrlError, ClientCertificate, Options, Plaintext};

use crate::{arguments::Server, exit::Failure};

impl Server {
    /// The adapter's options.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let plaintext = if self.allow_plaintext {
            Plaintext::Allowed
        } else {
            Plaintext::LoopbackOnly
        };
        let base_url = match (&self.link, &self.base_url) {
            (Some(link), _) => &link.base_url,
            (None, Some(base_url)) => base_url,
            (None, None) => {
                return Err(Failure::usage(
                    "no server: use --base-url or set ATTACHE_BASE_URL",
                ));
            }
        };
        let base_url = BaseUrl::parse(base_url, plaintext).map_err(|error| match error {
            BaseUrlError::Plaintext { host } => Failure::usage(format!(
                "http:// would send the token unencrypted to {host}; use https://, or --allow-plaintext"
            )),
            other => Failure::usage(other.to_string()),
        })?;
        let mut options = Options::new(base_url);
        options.tls.extra_ca_file.clone_from(&self.ca_file);
        if let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) {
            options.tls.client_certificate = Some(ClientCertificate {
                certificate_file: certificate.clone(),
                key_file: key.clone(),
            });
        }
        Ok(options)
    }
}

/// What unusable TLS files or proxies mean to the person who named them.
impl From<attache_tokio::OptionsError> for Failure {
    fn from(error: attache_tokio::OptionsError) -> Self {
        Self::usage(format!(
            "{error}; check --ca-file, --client-cert, --client-key and the proxy variables"
        ))
    }
}
