//! What shells and `man` know of the commands, and words that a flag does not accept.

use crate::folder::Folder;

const COMMANDS: [&str; 8] =
    ["run", "plan", "status", "score", "seams", "bench", "init", "completions"];

#[test]
fn every_shell_gets_a_script_with_every_command() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = folder.call(&["completions", shell]).exits(0);
        for command in COMMANDS {
            assert!(ran.out.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new();
    let page = folder.call(&["man"]).exits(0).out;
    assert!(page.contains(".TH impasto 1"), "{page}");
    std::fs::create_dir(folder.path("man")).expect("a folder");
    let out = folder.path("man").display().to_string();
    folder.call(&["man", "--out", &out]).exits(0);
    for command in COMMANDS {
        let page = folder.path("man").join(format!("impasto-{command}.1"));
        assert!(std::fs::read_to_string(page).is_ok_and(|page| page.contains(".SH NAME")));
    }
}

#[test]
fn words_that_a_flag_does_not_accept_exit_2_and_the_accepted_ones_are_listed() {
    let folder = Folder::new();
    let score = ["score", "photo.png", "--content", "photo.png", "--style", "painting.png"];
    let with = |flag: &'static str, word: &'static str| [&score[..], &[flag, word]].concat();
    for (arguments, accepted) in [
        (with("--preset", "vgg"), "neural-style"),
        (with("--pooling", "mean"), "average"),
        (with("--margins", "wide"), "bitwise"),
        (with("--core-px", "100"), "multiples of 16"),
        (vec!["bench", "--precision", "double"], "bfloat16"),
        (vec!["bench", "--devices", "tpu"], "cuda:N"),
        (vec!["bench", "--size", "8"], "from 16"),
        (vec!["bench", "--evaluations", "0"], "from 1"),
        (vec!["seams", "photo.png", "--core-px", "3"], "from 4"),
        (vec!["weights", "import", "x", "--dtype", "f8"], "f32"),
        (vec!["completions", "csh"], "bash"),
    ] {
        folder.call(&arguments).exits(2).says(&[accepted]);
    }
}
