//! Figures of this machine, from Linux.

use std::fs;
use std::num::NonZeroUsize;
use std::time::Duration;

use b3scale_base::rest::NodeFigures;
use tokio::time::Instant;

/// More frequent calls get the earlier figures: over so short a time, they mean nothing.
const SHORTEST: Duration = Duration::from_millis(900);

/// What measures this machine. Where a figure is not to be had it is 0.
#[derive(Debug)]
pub(super) struct Gauge {
    bbb_version: String,
    processors: f32,
    nodes: f32,
    before: Option<Reading>,
    figures: NodeFigures,
}

/// Counters that only grow.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    ticks: Ticks,
    traffic: Traffic,
}

/// Time of all processors together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    all: u64,
}

/// Bytes over all interfaces but the loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    received: u64,
    sent: u64,
}

impl Gauge {
    /// `nodes`: the number of nodes on this machine. Each has its share of the load.
    pub(super) fn new(bbb_version: String, nodes: NonZeroUsize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as f32;
        let nodes = nodes.get() as f32;
        let mut gauge = Self { bbb_version, processors, nodes, before: None, figures: NodeFigures::default() };
        gauge.measure(Instant::now());
        gauge
    }

    /// The current figures, with these counts.
    pub(super) fn figures(&mut self, meetings: usize, attendees: usize) -> NodeFigures {
        let now = Instant::now();
        if self.before.is_none_or(|before| now - before.at >= SHORTEST) {
            self.measure(now);
        }
        NodeFigures {
            bbb_version: self.bbb_version.clone(),
            meetings: u32::try_from(meetings).unwrap_or(u32::MAX),
            attendees: u32::try_from(attendees).unwrap_or(u32::MAX),
            ..self.figures.clone()
        }
    }

    fn measure(&mut self, at: Instant) {
        let file = |path| fs::read_to_string(path).unwrap_or_default();
        let now = Reading { at, ticks: ticks(&file("/proc/stat")), traffic: traffic(&file("/proc/net/dev")) };
        let figures = &mut self.figures;
        figures.memory = memory(&file("/proc/meminfo")) / self.nodes;
        figures.load_average = load_average(&file("/proc/loadavg")) / self.processors / self.nodes;
        if let Some(before) = self.before.replace(now) {
            let seconds = (now.at - before.at).as_secs_f64().max(f64::EPSILON);
            let nodes = f64::from(self.nodes);
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds / nodes;
            figures.cpu = busy(before.ticks, now.ticks) / self.nodes;
            figures.network_in = rate(now.traffic.received, before.traffic.received);
            figures.network_out = rate(now.traffic.sent, before.traffic.sent);
        }
    }
}

/// From 0 to 1.
fn busy(before: Ticks, now: Ticks) -> f32 {
    let (all, idle) = (now.all.saturating_sub(before.all), now.idle.saturating_sub(before.idle));
    if all == 0 { 0.0 } else { (1.0 - idle as f32 / all as f32).clamp(0.0, 1.0) }
}

/// `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
fn ticks(stat: &str) -> Ticks {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let numbers: Vec<u64> = line.split_whitespace().take(8).map_while(|number| number.parse().ok()).collect();
    Ticks { idle: numbers.iter().skip(3).take(2).sum(), all: numbers.iter().sum() }
}

/// `/proc/meminfo`. What caches hold is free.
fn memory(meminfo: &str) -> f32 {
    let of = |name: &str| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse::<f32>().ok()
    };
    match (of("MemTotal:"), of("MemAvailable:")) {
        (Some(total), Some(available)) if total > 0.0 => (1.0 - available / total).clamp(0.0, 1.0),
        _ => 0.0,
    }
}

/// `/proc/loadavg`, of the last minute.
fn load_average(loadavg: &str) -> f32 {
    loadavg.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// `/proc/net/dev`.
fn traffic(dev: &str) -> Traffic {
    let interfaces = dev.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    interfaces.fold(Traffic::default(), |sum, (_, counters)| {
        let counter =
            |place| counters.split_whitespace().nth(place).and_then(|number| number.parse().ok()).unwrap_or(0);
        Traffic { received: sum.received.saturating_add(counter(0)), sent: sum.sent.saturating_add(counter(8)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_read() {
        let before = ticks("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\n");
        assert_eq!(before, Ticks { idle: 800, all: 1000 });
        assert!((busy(before, Ticks { idle: 850, all: 1200 }) - 0.75).abs() < 0.001);
        assert!((memory("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  250 kB\n") - 0.75).abs() < 0.001);
        assert!((load_average("1.50 0.7 0.3 1/99 1234\n") - 1.5).abs() < 0.001);
        let dev = "Inter-|  Receive | Transmit\n face |bytes\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: 10 1 0 0 0 0 0 0 20 1\n\
                   eth1:1 1 0 0 0 0 0 0 2 1\n";
        assert_eq!(traffic(dev), Traffic { received: 11, sent: 22 });
    }

    #[test]
    fn what_is_not_to_be_had_is_nothing() {
        assert_eq!((ticks(""), traffic("x")), (Ticks::default(), Traffic::default()));
        assert!(memory("").abs() + load_average("").abs() + busy(Ticks::default(), Ticks::default()).abs() < 0.001);
    }
}
