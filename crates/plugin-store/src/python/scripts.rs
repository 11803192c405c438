//! The programs of packages: which there are, and the scripts that start them.

use std::collections::BTreeMap;

use super::Interpreter;

/// What a wheel calls its programs: name to `module:function`.
pub(crate) fn console_scripts(entry_points: &str) -> BTreeMap<String, (String, String)> {
    let mut scripts = BTreeMap::new();
    let mut is_console = false;
    for line in entry_points.lines().map(str::trim) {
        if line.starts_with('[') {
            is_console = line == "[console_scripts]";
        } else if is_console && let Some((name, target)) = line.split_once('=') {
            let target = target.split('[').next().unwrap_or_default().trim();
            let Some((module, function)) = target.split_once(':') else { continue };
            let name = name.trim();
            if is_program(name) && is_dotted(module) && is_dotted(function) {
                scripts.insert(
                    name.to_owned(),
                    (module.trim().to_owned(), function.trim().to_owned()),
                );
            }
        }
    }
    scripts
}

/// The names become paths and code.
pub(crate) fn is_program(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty()
        && name.len() <= 100
        && !name.starts_with(['.', '-'])
        && name.bytes().all(legal)
}

fn is_dotted(path: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    path.trim().split('.').all(part)
}

/// A script that starts a program of the environment that it lies in, wherever that is.
///
/// `-I` and `-S` keep everything away that does not belong to it: variables, the user's packages,
/// the system's. Programs in Python that it starts itself find the same packages by the variable.
pub(crate) fn script(python: &Interpreter, module: &str, function: &str) -> String {
    let root = function.split('.').next().unwrap_or(function);
    let head = head(python);
    format!(
        "{head}from {module} import {root}\n\nif __name__ == \"__main__\":\n    sys.exit({function}())\n"
    )
}

/// The same for a script that a package brings as a file, which lies in `venv/scripts`.
pub(crate) fn script_of_file(python: &Interpreter, name: &str) -> String {
    let head = head(python);
    format!(
        "{head}import runpy\n\n\
         runpy.run_path(os.path.join(environment, \"scripts\", \"{name}\"), run_name=\"__main__\")\n"
    )
}

fn head(python: &Interpreter) -> String {
    format!(
        "#!{} -ISB\n\
         import os\n\
         import site\n\
         import sys\n\
         \n\
         environment = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))\n\
         packages = os.path.join(environment, \"lib\", \"python{}\", \"site-packages\")\n\
         site.addsitedir(packages)\n\
         os.environ[\"PYTHONPATH\"] = packages\n",
        python.program.display(),
        python.version,
    )
}

/// The program of a package that is the plugin: of its own name, or the only one that it can be.
pub(crate) fn program_of(package: &str, programs: &[&str]) -> Result<String, String> {
    if programs.contains(&package) {
        return Ok(package.to_owned());
    }
    let singer = |name: &&&str| name.starts_with("tap-") || name.starts_with("target-");
    let of_singer: Vec<&&str> = programs.iter().filter(singer).collect();
    match (of_singer.as_slice(), programs) {
        ([one], _) => Ok((**one).to_owned()),
        ([], [one]) => Ok((*one).to_owned()),
        ([], []) => Err("it brings no program, so it is a library".to_owned()),
        _ => Err(format!(
            "it brings several programs, {}, and none of its own name",
            programs.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_entry_points() {
        let text = "[gui_scripts]\nx = a:b\n[console_scripts]\ntap-x = tap_x.tap:Tap.cli [extra]\n\
                    bad/name = a:b\nno = a\ncode = a:b;import os\n[other]\ny = a:b\n";
        let scripts = console_scripts(text);
        assert_eq!(scripts.len(), 1);
        assert_eq!(scripts["tap-x"], ("tap_x.tap".to_owned(), "Tap.cli".to_owned()));
    }

    #[test]
    fn the_plugin_is_the_program_of_that_name_or_the_only_one() {
        assert_eq!(program_of("tap-x", &["other", "tap-x"]).as_deref(), Ok("tap-x"));
        assert_eq!(program_of("acme-tap-x", &["other", "tap-x"]).as_deref(), Ok("tap-x"));
        assert_eq!(program_of("mapper", &["map"]).as_deref(), Ok("map"));
        assert!(program_of("x", &["tap-a", "target-b"]).is_err());
        assert!(program_of("x", &[]).is_err());
    }
}
