//! Programs for the kernel's packet filter, which decide about system calls.
//!
//! The kernel interprets each program for every call that exists when it is installed, to learn which
//! calls need no question later. A search by halves makes that, and every call after it, a matter of
//! ten instructions; a list would be a matter of hundreds, and jails have to start fast.
//! See `Documentation/userspace-api/seccomp_filter.rst` and `Documentation/networking/filter.rst` of
//! Linux.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, sock_filter};

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    /// It fails with this number.
    Refuse(libc::c_int),
    /// The process ends.
    Kill,
    /// It fails with this number if all conditions of one of these hold, and is allowed otherwise.
    Unless(libc::c_int, Vec<Vec<Condition>>),
}

/// Something about an argument's lower half; no argument that is looked at uses more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// As far as the mask looks, it is this.
    Is { argument: u8, mask: u32, value: u32 },
    /// It is anything but this.
    IsNot { argument: u8, value: u32 },
}

/// Verdicts by the numbers of calls.
pub(super) type Verdicts = BTreeMap<libc::c_long, Verdict>;

/// The numbers of x32 begin here. They pass for the architecture's own, and no list names them.
const X32: u32 = 0x4000_0000;

/// Where `struct seccomp_data` has the number of the call, the architecture, and the first argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// What the kernel calls this architecture; `None` for one that is not known here.
fn architecture() -> Option<u32> {
    match std::env::consts::ARCH {
        "x86_64" => Some(0xc000_003e),
        "aarch64" => Some(0xc000_00b7),
        "riscv64" => Some(0xc000_00f3),
        _ => None,
    }
}

/// The program that gives these verdicts, and `other` for calls without one. Calls of other
/// architectures end the process.
pub(super) fn assemble(verdicts: &Verdicts, other: &Verdict) -> Option<BpfProgram> {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(libc::BPF_JEQ, architecture()?, 1, 0),
        verdict_of(&Verdict::Kill),
        load(NUMBER),
    ];
    if cfg!(target_arch = "x86_64") {
        program.extend([jump(libc::BPF_JGE, X32, 0, 1), verdict_of(&Verdict::Kill)]);
    }
    program.extend(search(&ranges(verdicts, other)?));
    Some(program)
}

/// The verdict of every number, as the first number of each range with one verdict.
fn ranges<'a>(verdicts: &'a Verdicts, other: &'a Verdict) -> Option<Vec<(u32, &'a Verdict)>> {
    let mut ranges: Vec<(u32, &Verdict)> = vec![(0, other)];
    for (&number, verdict) in verdicts {
        let number = u32::try_from(number).ok()?;
        // The number may be the one that the last range began behind its own.
        if ranges.last().is_some_and(|(first, _)| *first == number) {
            ranges.pop();
        }
        if ranges.last().is_none_or(|(_, last)| *last != verdict) {
            ranges.push((number, verdict));
        }
        ranges.push((number + 1, other));
    }
    ranges.dedup_by(|later, earlier| later.1 == earlier.1);
    Some(ranges)
}

/// Halves the ranges until one is left.
fn search(ranges: &[(u32, &Verdict)]) -> BpfProgram {
    let [below @ .., _] = ranges else { return vec![verdict_of(&Verdict::Kill)] };
    if below.is_empty() {
        return answer(ranges[0].1);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (first, low, high) = (high[0].0, search(low), search(high));
    // Conditional jumps reach 255 instructions; the other kind reaches everywhere.
    let far = u32::try_from(low.len()).unwrap_or(u32::MAX);
    let mut program =
        vec![jump(libc::BPF_JGE, first, 0, 1), statement(libc::BPF_JMP | libc::BPF_JA, far)];
    program.extend(low);
    program.extend(high);
    program
}

fn answer(verdict: &Verdict) -> BpfProgram {
    let Verdict::Unless(errno, rules) = verdict else { return vec![verdict_of(verdict)] };
    let mut program = Vec::new();
    for rule in rules {
        let mut left = rule.iter().map(|condition| length(*condition)).sum::<u8>() + 1;
        for &condition in rule {
            left -= length(condition);
            // If it does not hold, on to the next rule.
            program.extend(check(condition, left));
        }
        program.push(verdict_of(&Verdict::Refuse(*errno)));
    }
    program.push(verdict_of(&Verdict::Allow));
    program
}

const fn length(condition: Condition) -> u8 {
    match condition {
        Condition::Is { .. } => 3,
        Condition::IsNot { .. } => 2,
    }
}

/// Goes on if the condition holds, and skips so many instructions if not.
fn check(condition: Condition, skipped: u8) -> BpfProgram {
    // Little-endian, as all architectures above are: the lower half comes first.
    let argument = |index: u8| load(ARGUMENTS + 8 * u32::from(index));
    match condition {
        Condition::Is { argument: index, mask, value } => vec![
            argument(index),
            statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask),
            jump(libc::BPF_JEQ, value, 0, skipped),
        ],
        Condition::IsNot { argument: index, value } => {
            vec![argument(index), jump(libc::BPF_JEQ, value, skipped, 0)]
        }
    }
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn verdict_of(verdict: &Verdict) -> sock_filter {
    let word = match verdict {
        // Conditions are looked at elsewhere; what is left of them is this.
        Verdict::Allow | Verdict::Unless(..) => libc::SECCOMP_RET_ALLOW,
        Verdict::Refuse(errno) => {
            libc::SECCOMP_RET_ERRNO | (errno.cast_unsigned() & libc::SECCOMP_RET_DATA)
        }
        Verdict::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    };
    statement(libc::BPF_RET | libc::BPF_K, word)
}

fn jump(comparison: u32, value: u32, if_so: u8, if_not: u8) -> sock_filter {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, if_so, if_not, value)
}

fn statement(code: u32, value: u32) -> sock_filter {
    instruction(code, 0, 0, value)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    // The codes above are far below 2^16.
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    /// What the kernel's interpreter would answer.
    fn run(program: &BpfProgram, number: u32, arguments: [u32; 6]) -> u32 {
        let (mut accumulator, mut at) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let code = u32::from(code);
            let choose = |holds: bool| usize::from(if holds { jt } else { jf });
            match code {
                _ if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    accumulator = match k {
                        NUMBER => number,
                        ARCHITECTURE => architecture().unwrap(),
                        _ => arguments[usize::try_from((k - ARGUMENTS) / 8).unwrap()],
                    }
                }
                _ if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K => accumulator &= k,
                _ if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => {
                    at += choose(accumulator == k);
                }
                _ if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => {
                    at += choose(accumulator >= k);
                }
                _ if code == libc::BPF_JMP | libc::BPF_JA => at += usize::try_from(k).unwrap(),
                _ => return k,
            }
        }
    }

    fn word(verdict: &Verdict, arguments: [u32; 6]) -> u32 {
        let holds = |condition: &Condition| match *condition {
            Condition::Is { argument, mask, value } => {
                arguments[usize::from(argument)] & mask == value
            }
            Condition::IsNot { argument, value } => arguments[usize::from(argument)] != value,
        };
        match verdict {
            Verdict::Unless(errno, rules) if rules.iter().any(|rule| rule.iter().all(holds)) => {
                verdict_of(&Verdict::Refuse(*errno)).k
            }
            other => verdict_of(other).k,
        }
    }

    fn conditions() -> impl Strategy<Value = Vec<Vec<Condition>>> {
        let is = (0..6_u8, 0..4_u32, 0..4_u32).prop_map(|(argument, mask, value)| Condition::Is {
            argument,
            mask,
            value,
        });
        let is_not =
            (0..6_u8, 0..4_u32).prop_map(|(argument, value)| Condition::IsNot { argument, value });
        let condition = prop_oneof![is, is_not];
        proptest::collection::vec(proptest::collection::vec(condition, 1..4), 1..4)
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Verdict::Allow),
            Just(Verdict::Kill),
            (1..100).prop_map(Verdict::Refuse),
            ((1..100), conditions()).prop_map(|(errno, rules)| Verdict::Unless(errno, rules)),
        ]
    }

    proptest! {
        #[test]
        fn every_call_gets_its_verdict(
            verdicts in btree_map(0..60_i64, verdict(), 0..40),
            other in prop_oneof![Just(Verdict::Allow), Just(Verdict::Kill)],
            arguments in proptest::array::uniform6(0..4_u32),
        ) {
            let program = assemble(&verdicts, &other).unwrap();
            for number in 0..64 {
                let expected = verdicts.get(&i64::from(number)).unwrap_or(&other);
                prop_assert_eq!(run(&program, number, arguments), word(expected, arguments));
            }
        }
    }

    #[test]
    fn calls_beyond_all_numbers_get_the_verdict_of_the_others_and_x32_is_the_end() {
        let program = assemble(&Verdicts::from([(1, Verdict::Kill)]), &Verdict::Allow).unwrap();
        assert_eq!(run(&program, 0x3fff_ffff, [0; 6]), libc::SECCOMP_RET_ALLOW);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(run(&program, X32, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
        }
    }
}
