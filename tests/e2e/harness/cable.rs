//! A cable between a browser and the server's HTTP port that can be cut and mended. Media does not
//! go through it: it goes to the server's own address.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A relay of TCP connections on a port of its own.
pub struct Cable {
    /// Where it is plugged in.
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    cut: AtomicBool,
    /// Both ends of every connection.
    ends: Mutex<Vec<TcpStream>>,
}

impl Inner {
    fn ends(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cable {
    /// Leads to `target`, for as long as the test runs.
    pub fn to(target: SocketAddr) -> Cable {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let inner = Arc::new(Inner::default());
        let theirs = Arc::clone(&inner);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if theirs.cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(target) else {
                    continue;
                };
                let copies = [
                    near.try_clone(),
                    far.try_clone(),
                    near.try_clone(),
                    far.try_clone(),
                ];
                let [Ok(near2), Ok(far2), Ok(end1), Ok(end2)] = copies else {
                    continue;
                };
                theirs.ends().extend([end1, end2]);
                thread::spawn(move || relay(near, far));
                thread::spawn(move || relay(far2, near2));
            }
        });
        Cable { address, inner }
    }

    /// Ends every connection, and every new one at once.
    pub fn cut(&self) {
        self.inner.cut.store(true, Ordering::SeqCst);
        for end in self.inner.ends().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.inner.cut.store(false, Ordering::SeqCst);
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
