//! stderr: log lines and progress.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// All bars, so that a log line can step aside for them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let label = match record.level() {
                Level::Error => "error",
                Level::Warn => "warning",
                Level::Info => "note",
                Level::Debug | Level::Trace => "debug",
            };
            BARS.suspend(|| eprintln!("{label}: {}", record.args()));
        }
    }

    fn flush(&self) {}
}

/// Sends log messages to stderr: warnings, with `-v` notes, with `-vv` everything.
pub fn start_log(verbose: u8) {
    log::set_max_level(match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Trace,
    });
    log::set_logger(&Stderr).expect("set once, at start");
}

/// Prints to stdout. A reader that has gone away (`| head`) is no error.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line to stderr.
pub fn tell(text: &str) {
    BARS.suspend(|| eprintln!("{text}"));
}

/// Progress of sampling: a bar with ETA on a terminal, a line now and then elsewhere.
pub struct Meter {
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Option<Instant>,
}

const SCALE: f64 = 1000.0;
const BETWEEN_LINES: Duration = Duration::from_secs(15);

impl Meter {
    /// A meter at zero.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(SCALE as u64),
                ProgressDrawTarget::stderr_with_hz(4),
            );
            let style = ProgressStyle::with_template("{bar:32} {percent:>3} % {msg}")
                .expect("a literal template");
            bar.set_style(style);
            BARS.add(bar)
        });
        Self { bar, started: Instant::now(), last_line: None }
    }

    /// Shows how far it is.
    pub fn update(&mut self, fraction: f64, done: usize, of: usize, remaining: Option<f64>) {
        let left = remaining.map_or(String::new(), |s| format!(", {} left", duration(s)));
        let message = format!("{done} of {of} samples{left}");
        match &self.bar {
            Some(bar) => {
                bar.set_position((fraction * SCALE) as u64);
                bar.set_message(message);
            }
            None => {
                let due = self.last_line.map_or(Duration::ZERO, |t| t.elapsed());
                if self.last_line.is_none() || due > BETWEEN_LINES {
                    eprintln!("sampling: {:.0} %, {message}", 100.0 * fraction);
                    self.last_line = Some(Instant::now());
                }
            }
        }
    }

    /// Takes the bar away and says how long it took.
    pub fn finish(self) -> Duration {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

/// `42 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_read_at_a_glance() {
        let shown = [0.4, 59.6, 200.0, 7500.0].map(duration);
        assert_eq!(shown, ["0 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]);
    }
}
