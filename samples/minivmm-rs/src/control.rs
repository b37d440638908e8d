//! Control socket, served by the main thread: "status" and "quit", one command a line.

use crate::complain;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::status::Status;
use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

const MAX_CLIENTS: usize = 8;
/// No command is that long.
const LINE_MAX: usize = 64;

/// What a command does and answers.
type Command<'a> = Box<dyn Fn() -> String + 'a>;

/// Serves clients until the machine is to stop.
pub(crate) fn serve(machine: &Machine) -> Result<()> {
    let mut server = Server::new(machine)?;
    complain(format_args!("ready ({}, cpus {})", machine.accelerator.name(), machine.config.cpus));
    while !machine.stop().requested() {
        server.turn()?;
    }
    Ok(())
}

fn commands(machine: &Machine) -> BTreeMap<&'static str, Command<'_>> {
    let status: Command = Box::new(|| {
        serde_json::to_string(&Status::of(machine)).expect("a status of numbers and text is JSON")
    });
    let quit: Command = Box::new(|| {
        machine.stop().request(0);
        r#"{"quit":true}"#.to_owned()
    });
    BTreeMap::from([("status", status), ("quit", quit)])
}

struct Server<'a> {
    epoll: Epoll,
    listener: Option<Listener>,
    clients: HashMap<RawFd, Client>,
    commands: BTreeMap<&'static str, Command<'a>>,
}

impl<'a> Server<'a> {
    fn new(machine: &'a Machine) -> Result<Self> {
        let epoll = Epoll::new().map_err(Error::Epoll)?;
        watch(&epoll, machine.stop().as_raw_fd())?;
        let listener = machine.config.control.as_deref().map(Listener::new).transpose()?;
        if let Some(listener) = &listener {
            watch(&epoll, listener.socket.as_raw_fd())?;
        }
        Ok(Server { epoll, listener, clients: HashMap::new(), commands: commands(machine) })
    }

    fn turn(&mut self) -> Result<()> {
        let mut events = [EpollEvent::default(); MAX_CLIENTS + 2];
        let count = match self.epoll.wait(-1, &mut events) {
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            result => result.map_err(Error::Epoll)?,
        };
        for event in &events[..count] {
            if let Some(client) = self.clients.get_mut(&event.fd()) {
                if client.receive(&self.commands).is_none() {
                    // Closing takes it out of the epoll set.
                    self.clients.remove(&event.fd());
                }
            } else if self.listener.as_ref().is_some_and(|listener| listener.socket.as_raw_fd() == event.fd())
            {
                self.admit()?;
            }
        }
        Ok(())
    }

    /// Takes a client, or hangs up if there are too many.
    fn admit(&mut self) -> Result<()> {
        let accepted = self.listener.as_ref().and_then(|listener| listener.socket.accept().ok());
        if let Some((stream, _)) = accepted.filter(|_| self.clients.len() < MAX_CLIENTS) {
            let fd = stream.as_raw_fd();
            watch(&self.epoll, fd)?;
            self.clients.insert(fd, Client { stream, line: Vec::new() });
        }
        Ok(())
    }
}

fn watch(epoll: &Epoll, fd: RawFd) -> Result<()> {
    let event = EpollEvent::new(EventSet::IN, fd as u64);
    epoll.ctl(ControlOperation::Add, fd, event).map_err(Error::Epoll)
}

struct Client {
    stream: UnixStream,
    line: Vec<u8>,
}

impl Client {
    /// None when the connection is to end.
    fn receive(&mut self, commands: &BTreeMap<&'static str, Command>) -> Option<()> {
        let mut bytes = [0; LINE_MAX];
        let count = match self.stream.read(&mut bytes) {
            Ok(0) => return None,
            Ok(count) => count,
            Err(error) => return (error.kind() == ErrorKind::Interrupted).then_some(()),
        };
        self.line.extend_from_slice(&bytes[..count]);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let command = std::str::from_utf8(&line[..end]).ok().and_then(|name| commands.get(name));
            let answer =
                command.map_or_else(|| r#"{"error":"unknown command"}"#.to_owned(), |command| command());
            self.stream.write_all(format!("{answer}\n").as_bytes()).ok()?;
        }
        (self.line.len() < LINE_MAX).then_some(())
    }
}

/// The socket; its file goes away with it.
struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// A socket that an earlier run left behind is replaced, any other file is not.
    fn new(path: &Path) -> Result<Self> {
        if path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket()) {
            std::fs::remove_file(path).map_err(Error::file("replace", path))?;
        }
        let socket = UnixListener::bind(path).map_err(Error::file("listen at", path))?;
        Ok(Listener { socket, path: path.to_owned() })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
