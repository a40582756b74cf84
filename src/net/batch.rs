//! Batched socket calls for the media workers: `recvmmsg` with kernel receive stamps, `sendmmsg`
//! with UDP segmentation offload (GSO), `epoll_pwait2`, `eventfd`. The only file with `unsafe`
//! (invariant A4): every pointer given to the kernel points into a buffer that outlives the call.
#![allow(unsafe_code)] // The lint of Cargo.toml points everyone else here.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;
use std::{mem, ptr};

/// Datagrams taken by one `recvmmsg`: enough to make the call cheap, few enough to stay fair.
const RECEIVE_BATCH_PACKETS_MAX: usize = 32;

/// Longest datagram taken; longer ones are cut by the kernel and discarded by us. Media stays below
/// an Ethernet frame.
const RECEIVE_PACKET_BYTES_MAX: usize = 2_048;

/// Segments of one GSO send (the kernel's own bound is 64 up to Linux 6.9).
const GSO_SEGMENTS_MAX: usize = 64;

/// Bytes of one GSO send: a UDP payload must fit 16 bits with its headers.
const GSO_BYTES_MAX: usize = 60_000;

/// Room for one control message, aligned: a `timespec` in, a segment size out.
const CONTROL_WORDS: usize = 8;

/// A non-blocking eventfd.
pub fn eventfd() -> io::Result<File> {
    // SAFETY: no pointers; the descriptor is checked and then owned by exactly one `File`.
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
        checked(fd)?;
        Ok(File::from_raw_fd(fd))
    }
}

/// Asks the kernel to stamp received datagrams (`SO_TIMESTAMPNS`, wallclock).
pub fn enable_receive_stamps(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: `on` outlives the call and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            ptr::from_ref(&on).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    checked(result).map(drop)
}

/// An epoll instance, level-triggered, readable events only.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    /// A new instance, taking at most `events_max` events at once.
    pub fn new(events_max: usize) -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is checked and then owned once.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            checked(fd)?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self {
            epoll,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; events_max.max(1)],
        })
    }

    /// Watches `fd` for reading; `token` comes back from [`Poller::wait`].
    pub fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: token,
        };
        // SAFETY: `event` outlives the call.
        let result = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                fd,
                ptr::from_mut(&mut event),
            )
        };
        checked(result).map(drop)
    }

    /// Sleeps until something is readable or the timeout (ns precision) has passed; returns the
    /// tokens. An interrupted sleep returns none.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<impl Iterator<Item = u64> + '_> {
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        };
        // SAFETY: the events buffer holds as many as its length says, the timespec outlives the
        // call, a null signal mask is allowed.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as libc::c_int,
                ptr::from_ref(&timeout),
                ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        let count = if count < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
            0
        } else {
            count as usize
        };
        Ok(self.events[..count].iter().map(|event| event.u64))
    }
}

/// One received datagram, in the ring until the next [`ReceiveRing::receive`].
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Sender.
    pub from: SocketAddr,
    /// Payload.
    pub bytes: &'a [u8],
    /// Kernel's receive stamp, ns since the Unix epoch, if the socket has stamps.
    pub stamp_ns: Option<i128>,
}

/// Reusable buffers for `recvmmsg`.
pub struct ReceiveRing {
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<[u64; CONTROL_WORDS]>,
    slices: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    count: usize,
}

// SAFETY: the raw pointers inside `slices` and `headers` are rewritten before every call from
// buffers this value owns; none is read in between.
unsafe impl Send for ReceiveRing {}

impl ReceiveRing {
    /// Allocates all buffers.
    pub fn new() -> Self {
        let count = RECEIVE_BATCH_PACKETS_MAX;
        // SAFETY: all-zero bytes are valid values of these plain C structs.
        let (name, slice, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            bytes: vec![0; count * RECEIVE_PACKET_BYTES_MAX],
            names: vec![name; count],
            controls: vec![[0; CONTROL_WORDS]; count],
            slices: vec![slice; count],
            headers: vec![header; count],
            count: 0,
        }
    }

    /// Takes what is waiting, up to one batch; zero when nothing is. True in the second place
    /// when the batch was full, so that more may wait.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<(usize, bool)> {
        self.count = 0;
        for index in 0..self.headers.len() {
            let start = index * RECEIVE_PACKET_BYTES_MAX;
            self.slices[index] = libc::iovec {
                iov_base: self.bytes[start..].as_mut_ptr().cast(),
                iov_len: RECEIVE_PACKET_BYTES_MAX,
            };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.names[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = ptr::from_mut(&mut self.slices[index]);
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].as_mut_ptr().cast();
            header.msg_controllen = mem::size_of::<[u64; CONTROL_WORDS]>();
            header.msg_flags = 0;
        }
        // SAFETY: every pointer set above points into a buffer owned by `self` with the length
        // given; the vectors are not touched until the call returns.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        if received < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok((0, false)),
                // An earlier send was answered by ICMP: says nothing about this socket's input.
                io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable => Ok((0, true)),
                _ => Err(error),
            };
        }
        self.count = received as usize;
        Ok((self.count, self.count == self.headers.len()))
    }

    /// Packet `index` of the last batch; `None` if it was cut or its sender has no IP address.
    pub fn packet(&self, index: usize) -> Option<Received<'_>> {
        if index >= self.count {
            return None;
        }
        let header = &self.headers[index];
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let start = index * RECEIVE_PACKET_BYTES_MAX;
        let length = (header.msg_len as usize).min(RECEIVE_PACKET_BYTES_MAX);
        Some(Received {
            from: socket_addr(&self.names[index])?,
            bytes: &self.bytes[start..start + length],
            stamp_ns: stamp(&header.msg_hdr),
        })
    }
}

impl Default for ReceiveRing {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendOutcome {
    /// Datagrams the kernel took.
    pub sent: usize,
    /// Datagrams given up: the socket's buffer was full, or the destination unreachable.
    pub failed: usize,
}

#[derive(Debug, Clone, Copy)]
struct Queued {
    start: usize,
    length: usize,
    next: Option<usize>,
}

/// Datagrams of one destination that can leave in one segmented send: equal sizes, except that the
/// last may be shorter.
#[derive(Debug, Clone, Copy)]
struct Run {
    to: SocketAddr,
    first: usize,
    last: usize,
    packets: usize,
    bytes: usize,
    segment: usize,
    closed: bool,
}

/// Datagrams waiting to be sent together through one socket. Order is kept per destination.
pub struct SendBatch {
    bytes: Vec<u8>,
    queued: Vec<Queued>,
    runs: Vec<Run>,
    open: HashMap<SocketAddr, usize>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<[u64; CONTROL_WORDS]>,
    slices: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    gso: bool,
}

// SAFETY: as for `ReceiveRing`: raw pointers are rewritten before every use.
unsafe impl Send for SendBatch {}

impl SendBatch {
    /// Empty; grows to the largest batch it has seen and stays there.
    pub fn new() -> Self {
        Self {
            bytes: Vec::new(),
            queued: Vec::new(),
            runs: Vec::new(),
            open: HashMap::new(),
            names: Vec::new(),
            controls: Vec::new(),
            slices: Vec::new(),
            headers: Vec::new(),
            gso: true,
        }
    }

    /// Datagrams waiting.
    pub fn len(&self) -> usize {
        self.queued.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Copies one datagram into the batch.
    pub fn push(&mut self, to: SocketAddr, packet: &[u8]) {
        let index = self.queued.len();
        self.queued.push(Queued {
            start: self.bytes.len(),
            length: packet.len(),
            next: None,
        });
        self.bytes.extend_from_slice(packet);
        if self.gso
            && let Some(run) = self.open.get(&to).map(|run| &mut self.runs[*run])
            && !run.closed
            && run.packets < GSO_SEGMENTS_MAX
            && run.bytes + packet.len() <= GSO_BYTES_MAX
            && packet.len() <= run.segment
            && !packet.is_empty()
        {
            self.queued[run.last].next = Some(index);
            run.last = index;
            run.packets += 1;
            run.bytes += packet.len();
            run.closed = packet.len() < run.segment;
            return;
        }
        self.open.insert(to, self.runs.len());
        self.runs.push(Run {
            to,
            first: index,
            last: index,
            packets: 1,
            bytes: packet.len(),
            segment: packet.len(),
            closed: false,
        });
    }

    /// Sends everything; whatever the kernel will not take now is given up, for late media is
    /// lost media.
    pub fn flush(&mut self, socket: &UdpSocket) -> SendOutcome {
        let mut outcome = SendOutcome::default();
        if self.runs.is_empty() {
            return outcome;
        }
        self.prepare();
        let mut next = 0;
        while next < self.runs.len() {
            // SAFETY: `prepare` has pointed every header into buffers owned by `self`, which are
            // not touched until the calls are done.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers[next..].as_mut_ptr(),
                    (self.runs.len() - next) as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if sent > 0 {
                let taken = &self.runs[next..next + sent as usize];
                outcome.sent += taken.iter().map(|run| run.packets).sum::<usize>();
                next += sent as usize;
                continue;
            }
            let error = io::Error::last_os_error();
            let run = self.runs[next];
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => {
                    let lost = &self.runs[next..];
                    outcome.failed += lost.iter().map(|run| run.packets).sum::<usize>();
                    break;
                }
                // No segmentation on this path (EIO: the device has no checksum offload; EINVAL:
                // the kernel does not know it): each packet by itself, now and from now on.
                Some(libc::EIO | libc::EINVAL) if run.packets > 1 => {
                    self.gso = false;
                    self.send_singly(socket, run, &mut outcome);
                    next += 1;
                }
                _ if run.packets > 1 => {
                    self.send_singly(socket, run, &mut outcome);
                    next += 1;
                }
                _ => {
                    outcome.failed += 1;
                    next += 1;
                }
            }
        }
        self.clear();
        outcome
    }

    fn prepare(&mut self) {
        // SAFETY: all-zero bytes are valid values of these plain C structs.
        let (name, header) = unsafe { (mem::zeroed(), mem::zeroed()) };
        self.names.resize(self.runs.len(), name);
        self.controls.resize(self.runs.len(), [0; CONTROL_WORDS]);
        self.headers.resize(self.runs.len(), header);
        self.slices.clear();
        // All slices first: their vector must not move once headers point into it.
        for run in &self.runs {
            let mut at = Some(run.first);
            while let Some(index) = at {
                let queued = self.queued[index];
                self.slices.push(libc::iovec {
                    iov_base: self.bytes[queued.start..].as_mut_ptr().cast(),
                    iov_len: queued.length,
                });
                at = queued.next;
            }
        }
        let mut slice = 0;
        for (index, run) in self.runs.iter().enumerate() {
            let header = &mut self.headers[index].msg_hdr;
            header.msg_namelen = set_socket_addr(&mut self.names[index], run.to);
            header.msg_name = ptr::from_mut(&mut self.names[index]).cast();
            header.msg_iov = self.slices[slice..].as_mut_ptr();
            header.msg_iovlen = run.packets;
            slice += run.packets;
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            if run.packets > 1 {
                header.msg_control = self.controls[index].as_mut_ptr().cast();
                set_segment(header, run.segment as u16);
            }
        }
    }

    fn send_singly(&self, socket: &UdpSocket, run: Run, outcome: &mut SendOutcome) {
        let mut at = Some(run.first);
        while let Some(index) = at {
            let queued = self.queued[index];
            let packet = &self.bytes[queued.start..queued.start + queued.length];
            match socket.send_to(packet, run.to) {
                Ok(_) => outcome.sent += 1,
                Err(_) => outcome.failed += 1,
            }
            at = queued.next;
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.queued.clear();
        self.runs.clear();
        self.open.clear();
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// Writes the GSO segment size as the header's one control message (udp(7), `UDP_SEGMENT`).
fn set_segment(header: &mut libc::msghdr, segment: u16) {
    // SAFETY: `msg_control` points to CONTROL_WORDS aligned words, more than CMSG_SPACE(2) bytes;
    // `msg_controllen` is set before CMSG_FIRSTHDR looks at it.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(mem::size_of::<u16>() as u32) as usize;
        let control = libc::CMSG_FIRSTHDR(header);
        (*control).cmsg_level = libc::SOL_UDP;
        (*control).cmsg_type = libc::UDP_SEGMENT;
        (*control).cmsg_len = libc::CMSG_LEN(mem::size_of::<u16>() as u32) as usize;
        ptr::write_unaligned(libc::CMSG_DATA(control).cast::<u16>(), segment);
    }
}

fn stamp(header: &libc::msghdr) -> Option<i128> {
    // SAFETY: the kernel filled `msg_control` and `msg_controllen`; the CMSG macros stay inside.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            if (*control).cmsg_level == libc::SOL_SOCKET
                && (*control).cmsg_type == libc::SCM_TIMESTAMPNS
            {
                let time = ptr::read_unaligned(libc::CMSG_DATA(control).cast::<libc::timespec>());
                return Some(i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec));
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    None
}

fn socket_addr(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which struct the storage holds, and it is large enough.
            let v4 = unsafe { ptr::from_ref(name).cast::<libc::sockaddr_in>().read() };
            let address = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            let port = u16::from_be(v4.sin_port);
            Some(SocketAddr::V4(SocketAddrV4::new(address, port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { ptr::from_ref(name).cast::<libc::sockaddr_in6>().read() };
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            let (flow, scope) = (v6.sin6_flowinfo, v6.sin6_scope_id);
            Some(SocketAddr::V6(SocketAddrV6::new(
                address, port, flow, scope,
            )))
        }
        _ => None,
    }
}

fn set_socket_addr(name: &mut libc::sockaddr_storage, address: SocketAddr) -> libc::socklen_t {
    match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from(*v4.ip()).to_be(),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger than, and aligned for, every sockaddr.
            unsafe { ptr::from_mut(name).cast::<libc::sockaddr_in>().write(raw) };
            mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { ptr::from_mut(name).cast::<libc::sockaddr_in6>().write(raw) };
            mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        enable_receive_stamps(&receiver).unwrap();
        (UdpSocket::bind("127.0.0.1:0").unwrap(), receiver)
    }

    fn take(receiver: &UdpSocket, count: usize) -> Vec<(Vec<u8>, Option<i128>)> {
        let mut poller = Poller::new(4).unwrap();
        poller.add(receiver.as_raw_fd(), 7).unwrap();
        let mut ring = ReceiveRing::new();
        let mut taken = Vec::new();
        while taken.len() < count {
            let ready = poller.wait(Duration::from_secs(5)).unwrap().count();
            assert!(ready > 0, "only {} of {count} came", taken.len());
            let (received, _) = ring.receive(receiver).unwrap();
            taken.extend((0..received).map(|index| {
                let packet = ring.packet(index).unwrap();
                (packet.bytes.to_vec(), packet.stamp_ns)
            }));
        }
        taken
    }

    #[test]
    fn packets_of_mixed_sizes_arrive_whole_in_order_and_stamped() {
        let (sender, receiver) = pair();
        let to = receiver.local_addr().unwrap();
        let mut batch = SendBatch::new();
        let sizes = [100, 100, 100, 40, 100, 1200, 1200, 7, 1, 1];
        for (index, size) in sizes.iter().enumerate() {
            batch.push(to, &vec![index as u8; *size]);
        }
        let outcome = batch.flush(&sender);
        assert_eq!((outcome.sent, outcome.failed), (sizes.len(), 0));
        assert!(batch.is_empty());
        for (index, (bytes, stamp)) in take(&receiver, sizes.len()).into_iter().enumerate() {
            assert_eq!(bytes, vec![index as u8; sizes[index]]);
            assert!(stamp.is_some_and(|ns| ns > 1_600_000_000_000_000_000));
        }
    }

    #[test]
    fn one_batch_serves_several_destinations() {
        let (sender, first) = pair();
        let (_, second) = pair();
        let (to_first, to_second) = (first.local_addr().unwrap(), second.local_addr().unwrap());
        let mut batch = SendBatch::new();
        for index in 0..20u8 {
            batch.push(to_first, &[index; 50]);
            batch.push(to_second, &[index + 100; 50]);
        }
        assert_eq!(batch.flush(&sender).sent, 40);
        assert_eq!(take(&first, 20)[19].0, [19; 50]);
        assert_eq!(take(&second, 20)[0].0, [100; 50]);
    }

    #[test]
    fn a_datagram_longer_than_the_ring_takes_is_discarded() {
        let (sender, receiver) = pair();
        let to = receiver.local_addr().unwrap();
        sender.send_to(&[1; 5_000], to).unwrap();
        let mut poller = Poller::new(1).unwrap();
        poller.add(receiver.as_raw_fd(), 1).unwrap();
        assert_eq!(poller.wait(Duration::from_secs(5)).unwrap().count(), 1);
        let mut ring = ReceiveRing::new();
        assert_eq!(ring.receive(&receiver).unwrap().0, 1);
        assert!(ring.packet(0).is_none());
    }

    #[test]
    fn the_poller_keeps_nanosecond_timeouts_and_sees_the_eventfd() {
        use std::io::Write;
        let mut poller = Poller::new(1).unwrap();
        assert_eq!(poller.wait(Duration::from_nanos(1)).unwrap().count(), 0);
        let wake = eventfd().unwrap();
        poller.add(wake.as_raw_fd(), 42).unwrap();
        (&wake).write_all(&1u64.to_ne_bytes()).unwrap();
        let ready: Vec<u64> = poller.wait(Duration::from_secs(5)).unwrap().collect();
        assert_eq!(ready, [42]);
    }
}
