//! The machine: guest RAM, accelerator, devices, and the order of starting and stopping.

use crate::accel::{Accelerator, choose};
use crate::bus::{PortBus, PortDevice};
use crate::config::Config;
use crate::counter::Counter;
use crate::devices::block::BlockDevice;
use crate::devices::disk::{self, Disk, Queue};
use crate::devices::report::{Report, Verdicts};
use crate::devices::serial::Serial;
use crate::devices::timer::Timer;
use crate::error::{Error, Result};
use crate::guest::{PORT_BLOCK, PORT_REPORT, PORT_SERIAL, PORT_TIMER};
use crate::io_thread::IoThread;
use crate::memory::{self, Ram};
use crate::note;
use crate::seccomp::Filters;
use crate::stop::Stop;
use crate::vcpu::{self, Running, Vcpu};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// A machine, and what is known of it while its threads run.
pub(crate) struct Machine {
    pub(crate) config: Config,
    pub(crate) accelerator: Box<dyn Accelerator>,
    pub(crate) ram: Ram,
    pub(crate) started: Instant,
    pub(crate) build_id: String,
    pub(crate) serial_lines: Arc<Counter>,
    pub(crate) disk_counts: Arc<disk::Counts>,
    pub(crate) verdicts: Arc<Verdicts>,
    pub(crate) epoll_interrupted: Arc<Counter>,
    pub(crate) vcpu_counts: Vec<Arc<vcpu::Counts>>,
    stop: Arc<Stop>,
    /// Until the threads start.
    prepared: Option<(Vec<Vcpu>, IoThread)>,
    filters: Filters,
    vcpus: Vec<Running>,
    io: Option<JoinHandle<()>>,
}

impl Machine {
    /// Makes the machine; nothing runs yet.
    pub(crate) fn new(config: Config) -> Result<Self> {
        let started = Instant::now();
        let stop = Arc::new(Stop::new()?);
        let filters = Filters::new()?;
        let ram = memory::create()?;
        let accelerator = choose(config.accel, &ram)?;

        let (serial_lines, disk_counts) = (Arc::new(Counter::default()), Arc::new(disk::Counts::default()));
        let verdicts = Arc::new(Verdicts::default());
        let epoll_interrupted = Arc::new(Counter::default());
        let doorbell = Arc::new(EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).map_err(Error::EventFd)?);
        let queue = Arc::new(Mutex::new(Queue::default()));
        let (file, sectors) = match &config.disk {
            Some(path) => disk::open(path).map(|(file, sectors)| (Some(file), sectors))?,
            None => (None, 0),
        };

        let mut bus = PortBus::default();
        let serial = Serial::new(config.serial.as_deref(), serial_lines.clone())?;
        bus.add(PORT_SERIAL, 8, shared(serial));
        bus.add(PORT_TIMER, 8, shared(Timer::new(started)));
        bus.add(
            PORT_BLOCK,
            16,
            shared(BlockDevice::new(
                ram.clone(),
                sectors,
                queue.clone(),
                doorbell.clone(),
                disk_counts.clone(),
            )),
        );
        bus.add(PORT_REPORT, 1, shared(Report::new(verdicts.clone())));

        let disk =
            Disk { ram: ram.clone(), file, sectors, queue, counts: disk_counts.clone(), dirty_since: None };
        let io = IoThread::new(disk, doorbell, stop.clone(), epoll_interrupted.clone())?;
        let bus = Arc::new(bus);
        let vcpus = (0..config.cpus).map(|index| {
            Ok(Vcpu {
                index,
                backend: accelerator.create_vcpu(index)?,
                bus: bus.clone(),
                stop: stop.clone(),
                counts: Arc::default(),
                pace: config.pace,
                filter: filters.vcpu.clone(),
            })
        });
        let vcpus = vcpus.collect::<Result<Vec<Vcpu>>>()?;
        let vcpu_counts = vcpus.iter().map(|vcpu| vcpu.counts.clone()).collect();
        Ok(Machine {
            config,
            accelerator,
            ram,
            started,
            build_id: note::build_id(),
            serial_lines,
            disk_counts,
            verdicts,
            epoll_interrupted,
            vcpu_counts,
            stop,
            prepared: Some((vcpus, io)),
            filters,
            vcpus: Vec::new(),
            io: None,
        })
    }

    /// Starts the threads.
    pub(crate) fn start(&mut self) -> Result<()> {
        let (vcpus, io) = self.prepared.take().expect("a machine is started once");
        vcpu::handle_kicks()?;
        self.io = Some(io.start(self.filters.io.clone())?);
        for vcpu in vcpus {
            self.vcpus.push(vcpu.start()?);
        }
        Ok(())
    }

    /// Where to ask for the machine's end.
    pub(crate) fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// Waits for all threads after a request to stop, and returns the program's exit status.
    pub(crate) fn finish(mut self) -> Result<u8> {
        self.vcpus.drain(..).try_for_each(Running::join)?;
        if let Some(io) = self.io.take() {
            io.join().map_err(|_| Error::Stuck("the I/O thread".into()))?;
        }
        Ok(self.stop.exit_status())
    }
}

fn shared<D: PortDevice + 'static>(device: D) -> Arc<Mutex<dyn PortDevice>> {
    Arc::new(Mutex::new(device))
}
