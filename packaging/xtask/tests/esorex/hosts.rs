//! Errors, interruption, and another host.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::files::{self, assert_same, image};
use crate::support::{self, Folder, printed, works};

const FEW: [&str; 5] =
    ["--n_samples=2", "--steps=4", "--sweeps=0", "--flux_scale=1", "--device=cpu"];

/// Exit code, message of the CPL error, no product.
#[test]
fn errors_say_what_and_leave_nothing() {
    if !support::engine("errors_say_what_and_leave_nothing") {
        return;
    }
    let folder = Folder::new("errors");
    let good = files::plain_frames(&folder);
    std::fs::write(folder.path("junk.fits"), "no FITS file").unwrap();
    let junk = (folder.text("junk.fits"), "CALIBRATED_EXPOSURE");
    let without = |tag: &str| good.iter().filter(|f| f.1 != tag).cloned().collect::<Vec<_>>();
    let with = |frame| [&good[..], std::slice::from_ref(frame)].concat();
    let correlation = (folder.text("psf.fits"), "NOISE_CORRELATION");
    let cases = [
        (without("PSF"), "", "needed one frame tagged PSF"),
        (without("CALIBRATED_EXPOSURE"), "", "at least one frame tagged CALIBRATED_EXPOSURE"),
        (without("PRIOR"), "", "needed a PRIOR frame"),
        (with(&good[1]), "", "or one for each of the 1"),
        (with(&junk), "", "junk.fits: error reading"),
        (good.clone(), "--n_samples=0", "outside the permitted range"),
        (good.clone(), "--sampler=best", "option '--sampler'"),
        (good.clone(), "--engine=/nowhere/libpellucid.so.1", "/nowhere/libpellucid.so.1"),
        (good.clone(), "--engine=libm.so.6", "pellucid_get_api is missing"),
        (good.clone(), "--device=tpu", "PELLUCID_E_CONFIG"),
        (good.clone(), "--ra=10", "is on none of its 1 chip"),
        (good.clone(), "--dec=3", "needs ra as well"),
        (good.clone(), "--sky=bright", "none, header or a number"),
        (good.clone(), "--psf_centre=8,8.25", "half-integer"),
        (good.clone(), "--noise=white", "sweeps: needed -1 with noise model white"),
        (with(&correlation), "--noise=white", "needed no NOISE_CORRELATION with noise model white"),
    ];
    for (frames, option, need) in cases {
        let frames = folder.set_of_frames("in.sof", &frames);
        let args = ["pellucid_sample"].into_iter().chain(FEW);
        let args = args.chain(Some(option).filter(|o| !o.is_empty())).chain([&*frames]);
        let mut command = folder.esorex(args);
        let output = command.env("PELLUCID_PLUGIN", support::plugin()).output().unwrap();
        let said = printed(&output);
        // EsoRex breaks long lines of a terminal only; the message stays in one piece.
        assert!(!output.status.success() && said.contains(need), "{option} {need}\n{said}");
        assert!(said.contains("ERROR"), "{said}");
        assert_eq!((folder.products(), folder.litter()), (vec![], vec![]), "{option} {need}");
    }
}

/// EsoRex dies at once; the products would only have been written at the end.
#[test]
fn a_killed_run_leaves_nothing() {
    if !support::engine("a_killed_run_leaves_nothing") {
        return;
    }
    let folder = Folder::new("killed");
    let frames = folder.set_of_frames("in.sof", &files::plain_frames(&folder));
    let mut command = folder.esorex(["pellucid_sample", "--n_samples=65536", "--flux_scale=1"]);
    command.arg(&frames).env("PELLUCID_PLUGIN", support::plugin());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let sampling = lines.by_ref().any(|line| line.unwrap().contains("of 65536 samples"));
    assert!(sampling, "it came to sampling");
    works(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    assert!(!child.wait().unwrap().success());
    assert_eq!((folder.products(), folder.litter()), (vec![], vec![]));
}

/// python3-cpl opens the recipe in its own process and runs it in a fork.
#[test]
fn python_runs_it_in_a_fork() {
    const TEST: &str = "python_runs_it_in_a_fork";
    if !support::engine(TEST) {
        return;
    }
    let python = |script: &str, folder: &Folder| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", script]).current_dir(folder.path(""));
        command.env("PELLUCID_PLUGIN", support::plugin());
        command.env("PELLUCID_RECIPES", support::recipe_folder());
        command
    };
    let folder = Folder::new("python");
    if !python("import cpl", &folder).output().is_ok_and(|o| o.status.success()) {
        support::skipped(TEST, "python3-cpl is not installed");
        return;
    }
    let frames = files::plain_frames(&folder);
    let script = format!(
        "import cpl, os, shutil\n\
         cpl.Recipe.path = [os.environ['PELLUCID_RECIPES']]\n\
         recipe = cpl.Recipe('pellucid_sample')\n\
         recipe.output_dir = 'python'\n\
         p = recipe.param\n\
         p.n_samples, p.steps, p.sweeps, p.flux_scale, p.device = 2, 4, 0, 1.0, 'cpu'\n\
         recipe.calib = {{'PSF': '{}', 'PRIOR': '{}'}}\n\
         for run in range(2):\n\
         \x20   result = recipe(['{}'], tag='CALIBRATED_EXPOSURE')\n\
         print('TAGS', sorted(result.tags))\n\
         shutil.copy(result.POSTERIOR_SAMPLES[0], 'samples.fits')\n\
         try:\n\
         \x20   p.device = 'tpu'; recipe(['{}'], tag='CALIBRATED_EXPOSURE')\n\
         except Exception as error:\n\
         \x20   print('ERROR', type(error).__name__, error)\n",
        frames[1].0, frames[2].0, frames[0].0, frames[0].0
    );
    let said = works(&mut python(&script, &folder));
    assert!(said.contains("'EXPOSURE_FIT', 'POSTERIOR_MEAN'"), "{said}");
    assert!(said.contains("ERROR CplError") && said.contains("PELLUCID_E_CONFIG"), "{said}");

    let set = folder.set_of_frames("in.sof", &frames);
    let args = ["pellucid_sample"].into_iter().chain(FEW).chain([&*set]);
    works(folder.esorex(args).env("PELLUCID_PLUGIN", support::plugin()));
    let (esorex, _) = image(&folder.path("products/pellucid_sample_samples.fits"), "");
    assert_same(&image(&folder.path("samples.fits"), "").0, &esorex, "samples");
}
