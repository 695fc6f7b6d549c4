//! Large files over HTTP: a broken download is resumed where it stopped.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::error::{Error, Result};
use crate::manifest::checksum;
use crate::process::{command, display};

/// What curl exits with when the server answers a request for the rest of a file with all of it.
const NO_RANGES: i32 = 33;

/// Download to `target`, by way of a file beside it that outlives a break: it is resumed at once, or
/// by the next run. A part that turns out to be damaged is fetched anew, once.
/// `options` are curl's: progress, proxies.
pub(crate) fn fetch(url: &str, target: &Path, sha256: &str, options: &[&str]) -> Result<()> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = target.with_file_name(name);
    let mut resumed = length(&part) > 0;
    loop {
        complete(url, &part, options)?;
        let got = checksum(&part)?;
        if got == sha256 {
            return fs::rename(&part, target).map_err(Error::io("rename", &part));
        }
        remove(&part)?;
        if !resumed {
            return Err(Error::Checksum { path: part, need: sha256.into(), got });
        }
        eprintln!("set-up: what an earlier download left is damaged; fetching it anew");
        resumed = false;
    }
}

/// Ask for the rest of `part` as long as each attempt brings more.
fn complete(url: &str, part: &Path, options: &[&str]) -> Result<()> {
    loop {
        let before = length(part);
        let mut curl = command("curl");
        curl.args(["--fail", "--location", "--show-error", "--continue-at", "-"]).args(options);
        // A connection that delivers nothing for a minute is as good as broken.
        curl.args(["--connect-timeout", "60", "--speed-limit", "1", "--speed-time", "60"]);
        curl.arg("--output").arg(part).arg(url).stdin(Stdio::null()).stdout(Stdio::null());
        let status = curl.status();
        let status = status.map_err(|source| Error::Spawn { program: "curl".into(), source })?;
        if status.success() {
            return Ok(());
        }
        let got = length(part);
        if before > 0 && status.code() == Some(NO_RANGES) {
            remove(part)?;
        } else if got > before {
            eprintln!("set-up: broke off after {got} bytes; resuming");
        } else {
            return Err(Error::Failed { command: display(&curl), status: status.to_string() });
        }
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(Error::io("remove", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::succeeds;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::path::PathBuf;
    use std::sync::mpsc::{Receiver, channel};

    /// How the server answers one request.
    #[derive(Clone, Copy)]
    enum Answer {
        /// With what was asked for.
        All,
        /// With so many bytes of it, then the connection breaks.
        Break(usize),
        /// With the whole file, whatever was asked for.
        NoRanges,
    }
    use Answer::{All, Break, NoRanges};

    fn body() -> Vec<u8> {
        (0..200_000_u32).map(|i| (i % 251) as u8).collect()
    }

    /// A server that answers so many requests and tells from which byte on each asks.
    fn serve(answers: &'static [Answer]) -> (String, Receiver<usize>) {
        let (tell, asked) = channel();
        let listener = TcpListener::bind("127.0.0.1:0").expect("because any port will do");
        let address = listener.local_addr().expect("because it is bound");
        let answer = move |answer: &Answer| {
            let (mut stream, _) = listener.accept().expect("because curl connects");
            let request = BufReader::new(stream.try_clone().expect("because it is open"));
            let lines = request.lines().map_while(std::result::Result::ok);
            let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range = lines.iter().find_map(|line| line.strip_prefix("Range: bytes="));
            let from = range.map_or(0, |r| r.trim_end_matches('-').parse().expect("a number"));
            let (all, first) = (body(), if matches!(answer, NoRanges) { 0 } else { from });
            let status = match (first, first < all.len()) {
                (0, _) => "200 OK",
                (_, true) => "206 Partial Content",
                (_, false) => "416 Range Not Satisfiable",
            };
            let rest = all.get(first..).unwrap_or_default();
            let (size, last) = (all.len(), all.len() - 1);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{last}/{size}\r\n\
                 Connection: close\r\n\r\n",
                rest.len()
            );
            let sent = if let Break(n) = answer { &rest[..*n] } else { rest };
            // Nobody listens any more once a test has failed.
            let _ = tell.send(from);
            // curl hangs up when it does not like the head.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
        };
        std::thread::spawn(move || answers.iter().for_each(answer));
        (format!("http://{address}/wheel"), asked)
    }

    /// Fetch with `part` left by an earlier run: the result, and from where on each request was.
    fn run(
        name: &str,
        part: &[u8],
        answers: &'static [Answer],
    ) -> Option<(Result<()>, Vec<usize>)> {
        if !succeeds(command("curl").arg("--version")) {
            let _ = writeln!(std::io::stderr(), "SKIPPED: {name}: no curl");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let at = |file: &str| -> PathBuf { folder.join(file) };
        fs::create_dir_all(&folder).expect("because it is temporary");
        if !part.is_empty() {
            fs::write(at("wheel.part"), part).expect("because the folder is new");
        }
        fs::write(at("expected"), body()).expect("because the folder is new");
        let sha256 = checksum(&at("expected")).expect("because it was written");
        let (url, asked) = serve(answers);
        let result = fetch(&url, &at("wheel"), &sha256, &["--silent", "--noproxy", "*"]);
        let asked = asked.try_iter().collect();
        match &result {
            Ok(()) => assert_eq!(fs::read(at("wheel")).expect("because it was fetched"), body()),
            Err(_) => assert!(!at("wheel").exists()),
        }
        let kept = matches!(result, Err(Error::Failed { .. }));
        assert_eq!(at("wheel.part").exists(), kept, "a good part is kept, nothing else");
        fs::remove_dir_all(&folder).expect("because it is ours");
        Some((result, asked))
    }

    #[test]
    fn a_broken_download_is_resumed() {
        if let Some((result, asked)) = run("broken", &[], &[Break(70_000), Break(50_000), All]) {
            result.expect("the third answer has the rest");
            assert_eq!(asked, [0, 70_000, 120_000]);
        }
    }

    #[test]
    fn the_part_of_an_earlier_run_is_resumed() {
        if let Some((result, asked)) = run("earlier", &body()[..30_000], &[All]) {
            result.expect("a good part");
            assert_eq!(asked, [30_000]);
        }
        if let Some((result, asked)) = run("whole", &body(), &[All]) {
            result.expect("it was whole already");
            assert_eq!(asked, [200_000]);
        }
    }

    #[test]
    fn a_damaged_part_is_fetched_anew() {
        if let Some((result, asked)) = run("damaged", &[7; 30_000], &[All, All]) {
            result.expect("the second download is whole");
            assert_eq!(asked, [30_000, 0]);
        }
        if let Some((result, asked)) = run("long", &[7; 300_000], &[All, All]) {
            result.expect("the second download is whole");
            assert_eq!(asked, [300_000, 0]);
        }
    }

    #[test]
    fn a_server_without_ranges_is_asked_for_everything() {
        if let Some((result, asked)) = run("ranges", &body()[..30_000], &[NoRanges, NoRanges]) {
            result.expect("the second download is whole");
            assert_eq!(asked, [30_000, 0]);
        }
    }

    #[test]
    fn a_server_that_gives_nothing_is_given_up() {
        if let Some((result, asked)) = run("nothing", &body()[..30_000], &[Break(0)]) {
            assert!(matches!(result, Err(Error::Failed { .. })), "{result:?}");
            assert_eq!(asked, [30_000]);
        }
    }
}
