//! SIP over stream connections (TCP, and TLS once accepted): framing in, a bounded queue out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use crate::limits;
use crate::sip::flow::{Flow, FlowId};
use crate::sip::framing::{Frame, PONG, StreamFramer};

/// What happens on a stream connection, in order.
#[derive(Debug)]
pub enum StreamEvent {
    /// It is open; send whole messages here.
    Opened {
        /// Its flow.
        flow: Flow,
        /// Bytes to write; when it is full the connection is stuck and is given up.
        writer: mpsc::Sender<Bytes>,
    },
    /// One whole SIP message.
    Message {
        /// On which connection.
        flow: Flow,
        /// The message.
        bytes: Vec<u8>,
    },
    /// It is gone.
    Closed {
        /// Which.
        flow: FlowId,
    },
}

/// Numbers for flows: the UDP listener is 0, connections follow, none is used twice.
#[derive(Debug, Clone)]
pub struct FlowIds(Arc<AtomicU64>);

impl Default for FlowIds {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(1)))
    }
}

impl FlowIds {
    /// A fresh one.
    pub fn next(&self) -> FlowId {
        FlowId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Serves one connection until it ends, then reports [`StreamEvent::Closed`].
///
/// A connection that has not sent one whole message within `STREAM_FIRST_MESSAGE_MAX` is closed; a
/// message once begun must be whole within the same time. Between messages it may idle: carriers
/// keep a call's connection open and silent for its whole length.
///
pub async fn serve<S>(stream: S, flow: Flow, events: mpsc::Sender<StreamEvent>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (outgoing, queue) = mpsc::channel(limits::STREAM_WRITES_MAX);
    serve_queue(stream, flow, events, outgoing, queue).await;
}

/// As [`serve`], writing what `outgoing` has already put into `queue`: the messages for which a
/// connection of our own was opened.
pub async fn serve_queue<S>(
    stream: S,
    flow: Flow,
    events: mpsc::Sender<StreamEvent>,
    outgoing: mpsc::Sender<Bytes>,
    mut queue: mpsc::Receiver<Bytes>,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (opened, pong) = (
        StreamEvent::Opened {
            flow,
            writer: outgoing.clone(),
        },
        outgoing,
    );
    if events.send(opened).await.is_err() {
        return;
    }
    let write = async move {
        while let Some(bytes) = queue.recv().await {
            let written = timeout(limits::STREAM_WRITE_MAX, writer.write_all(&bytes)).await;
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
    };
    let read = read_messages(&mut reader, flow, &events, pong);
    tokio::pin!(write);
    tokio::select! {
        ended = read => if ended == Ended::Unframeable {
            // The answer that says what was wrong is on its way through the SIP task: give the
            // writer time to send it before the connection is closed.
            let _ = timeout(limits::STREAM_LINGER, write).await;
        },
        () = &mut write => {}
    }
    // The receiver is gone only when the process ends.
    let _ = events.send(StreamEvent::Closed { flow: flow.id }).await;
}

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The peer closed, was too slow, or the process ends.
    Gone,
    /// What it sends cannot be cut into messages any more.
    Unframeable,
}

async fn read_messages<R: AsyncRead + Unpin>(
    reader: &mut R,
    flow: Flow,
    events: &mpsc::Sender<StreamEvent>,
    writer: mpsc::Sender<Bytes>,
) -> Ended {
    let mut framer = StreamFramer::new();
    let mut chunk = vec![0u8; 16 * 1024];
    let mut whole_messages = 0u64;
    loop {
        let must_hurry = whole_messages == 0 || framer.is_within_message();
        let read = if must_hurry {
            match timeout(limits::STREAM_FIRST_MESSAGE_MAX, reader.read(&mut chunk)).await {
                Ok(read) => read,
                Err(_) => return Ended::Gone,
            }
        } else {
            reader.read(&mut chunk).await
        };
        let length = match read {
            Ok(0) | Err(_) => return Ended::Gone,
            Ok(length) => length,
        };
        framer.handle_bytes(&chunk[..length]);
        while let Some(frame) = framer.poll_frame() {
            match frame {
                Frame::Message(bytes) => {
                    whole_messages += 1;
                    if events
                        .send(StreamEvent::Message { flow, bytes })
                        .await
                        .is_err()
                    {
                        return Ended::Gone;
                    }
                }
                Frame::Ping => {
                    if writer.try_send(Bytes::from_static(PONG)).is_err() {
                        return Ended::Gone;
                    }
                }
                Frame::Close(error) => {
                    debug!(%error, "A SIP connection is closed");
                    return Ended::Unframeable;
                }
            }
        }
    }
}
