//! The in-process side of an agent.

use std::{collections::VecDeque, sync::Arc};

use attache_protocol::{SessionId, frame::Frame};

use crate::{
    RelayError,
    line::Line,
    session::{Epoch, Mailbox, Published, SessionHandle},
    store::{After, Origin, Store, StoredFrame},
};

/// How many frames are read from the store at once.
const PAGE: usize = 64;

/// An agent attached to a session.
///
/// It is attached until this is dropped, another agent attaches, the session is archived or the
/// relay stops. What viewers say meanwhile waits in the log for the next one.
pub struct Agent {
    publisher: Publisher,
    session_id: SessionId,
    mailbox: Arc<Mailbox>,
    store: Arc<dyn Store>,
    /// Where the store's cursor stands, as far as this attachment knows.
    cursor: u64,
    ahead: VecDeque<StoredFrame>,
}

impl Agent {
    pub(crate) async fn attach(
        session_id: SessionId,
        session: SessionHandle,
        store: Arc<dyn Store>,
    ) -> Result<Self, RelayError> {
        let (epoch, mailbox) = session.attach().await?;
        let cursor = store.agent_cursor(&session_id).await?;
        Ok(Self {
            publisher: Publisher { epoch, session },
            session_id,
            mailbox,
            store,
            cursor,
            ahead: VecDeque::new(),
        })
    }

    /// Says one frame to the viewers; see [`Publisher::publish`].
    ///
    /// # Errors
    /// See [`Publisher::publish`].
    pub async fn publish(&self, text: &str) -> Result<Published, RelayError> {
        self.publisher.publish(text).await
    }

    /// Takes the next frame that viewers said to the agent: user messages, answers to prompts,
    /// requests. They come in the log's order, each once, also across attachments and relays over
    /// the same store. `None` when the attachment is over.
    ///
    /// A frame counts as taken when this returns it, and for the viewers as processed.
    ///
    /// Cancel safe: a frame that was not returned is returned by the next call.
    ///
    /// # Errors
    /// [`RelayError::Store`] when the store fails; the next call tries again.
    pub async fn recv(&mut self) -> Result<Option<Frame>, RelayError> {
        loop {
            if self.mailbox.over.is_cancelled() {
                return Ok(None);
            }
            if let Some(next) = self.ahead.front() {
                let (sequence, text) = (next.sequence, next.text.clone());
                // After a cancelled call the cursor may have moved already.
                let store = &self.store;
                let id = &self.session_id;
                let mine = store
                    .advance_agent_cursor(id, self.cursor, sequence)
                    .await?
                    || self.cursor_is_ours(sequence).await?;
                self.ahead.pop_front();
                self.cursor = sequence;
                if !mine {
                    return Ok(None);
                }
                self.mailbox.took(sequence);
                match Frame::classify(text) {
                    Ok(frame) => return Ok(Some(frame)),
                    Err(error) => {
                        tracing::warn!(session = %self.session_id, sequence, %error, "a stored frame is no frame");
                    }
                }
                continue;
            }
            let archived = self.mailbox.archived.is_cancelled();
            let arrived = self.mailbox.arrived.notified();
            let after = After::Sequence(self.cursor);
            let only = Some(Origin::Viewer);
            let page = self
                .store
                .frames(&self.session_id, after, only, PAGE)
                .await?;
            self.ahead.extend(page.frames);
            if self.ahead.is_empty() {
                if archived {
                    return Ok(None);
                }
                tokio::select! {
                    () = arrived => {}
                    () = self.mailbox.over.cancelled() => {}
                    () = self.mailbox.archived.cancelled() => {}
                }
            }
        }
    }

    /// A handle that publishes and can be cloned, for use beside [`recv`](Self::recv).
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// The session this agent is attached to.
    pub fn session_id(&self) -> &SessionId {
        &self.session_id
    }

    async fn cursor_is_ours(&self, sequence: u64) -> Result<bool, RelayError> {
        let over = self.mailbox.over.is_cancelled();
        Ok(!over && self.store.agent_cursor(&self.session_id).await? == sequence)
    }
}

impl core::fmt::Debug for Agent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Agent({})", self.session_id)
    }
}

/// Says frames in the name of an [`Agent`]. Cloning is cheap; each clone's frames keep their order.
///
/// It may outlive its agent, until another one attaches.
#[derive(Clone)]
pub struct Publisher {
    epoch: Epoch,
    session: SessionHandle,
}

impl Publisher {
    /// Says one frame: stores it, unless its kind is live only, and hands it to every viewer's
    /// queue. Slow viewers are not waited for. A frame that is stored and has no `uuid` gets one.
    ///
    /// Cancel safe in that a frame is published whole or not at all, but which of both is unknown
    /// when the future is dropped. Publishing the same `uuid` again changes nothing.
    ///
    /// # Errors
    /// [`RelayError::Refused`] when `text` is not one frame on one line,
    /// [`RelayError::Superseded`], [`RelayError::Archived`], [`RelayError::TooManyOpenRequests`],
    /// [`RelayError::Store`] and [`RelayError::Stopped`].
    pub async fn publish(&self, text: &str) -> Result<Published, RelayError> {
        let outcome = self.publish_all(&[text]).await?;
        Ok(outcome.into_iter().next().unwrap_or(Published::Ignored))
    }

    /// Says several frames as one batch, which is stored whole or not at all, and says for each
    /// what became of it. Much cheaper than one by one when the store is on a disk.
    ///
    /// Cancel safe like [`publish`](Self::publish).
    ///
    /// # Errors
    /// See [`publish`](Self::publish).
    pub async fn publish_all<T: AsRef<str>>(
        &self,
        texts: &[T],
    ) -> Result<Vec<Published>, RelayError> {
        let lines = Line::accept_all(texts)?;
        self.session.publish(self.epoch, lines).await
    }
}

impl core::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Publisher({:?})", self.epoch)
    }
}
