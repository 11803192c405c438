//! What an expression reads, found in its syntax tree without evaluating it.

use minijinja::machinery::{
    ast::{BinOpKind, CallArg, Expr},
    parse_expr,
};

use super::Problem;
use crate::diagnostic::Code;

/// What an expression reads and calls.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Every chain of names, such as `steps.load.output.records`.
    pub(crate) paths: Vec<Path>,
    /// Every function call.
    pub(crate) calls: Vec<FunctionCall>,
    /// Every filter by name.
    pub(crate) filters: Vec<String>,
    /// Every test by name.
    pub(crate) tests: Vec<String>,
    /// Method calls, which the language does not have.
    pub(crate) methods: Vec<String>,
}

/// A chain of names from a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// The first name.
    pub(crate) root: String,
    /// The names below it, up to the first that is computed.
    pub(crate) names: Vec<String>,
    /// Whether a computed name follows.
    pub(crate) computed: bool,
    /// The chain as it stands in the expression.
    pub(crate) text: String,
    /// If the chain follows a `-`: how the two would be written as one name with a hyphen.
    pub(crate) hyphenated: Option<String>,
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionCall {
    /// Its name.
    pub(crate) name: String,
    /// Its only argument, if that is a text.
    pub(crate) text_argument: Option<String>,
    /// The call as it stands in the expression.
    pub(crate) text: String,
}

/// Everything that an expression reads.
pub(crate) fn reads(expression: &str) -> Result<Reads, Problem> {
    let parsed = parse_expr(expression).map_err(|error| {
        let part = error.range().and_then(|range| expression.get(range)).unwrap_or_default();
        Problem {
            code: Code::TemplateSyntax,
            message: if expression.is_empty() {
                "an expression is missing here".to_owned()
            } else {
                error.detail().unwrap_or("this expression does not parse").to_owned()
            },
            hint: None,
            part: if part.trim().is_empty() { expression } else { part }.to_owned(),
        }
    })?;
    let mut walk = Walk { source: expression, reads: Reads::default() };
    walk.visit(&parsed);
    Ok(walk.reads)
}

struct Walk<'a> {
    source: &'a str,
    reads: Reads,
}

impl Walk<'_> {
    fn visit(&mut self, expression: &Expr<'_>) {
        if let Some(path) = self.path(expression) {
            self.reads.paths.push(path);
            return;
        }
        match expression {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.visit(&slice.expr);
                for part in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.visit(part);
                }
            }
            Expr::UnaryOp(operation) => self.visit(&operation.expr),
            Expr::BinOp(operation) => {
                self.visit(&operation.left);
                let before = self.reads.paths.len();
                self.visit(&operation.right);
                if matches!(operation.op, BinOpKind::Sub) {
                    self.note_hyphen(&operation.left, before);
                }
            }
            Expr::Compare(comparison) => {
                self.visit(&comparison.expr);
                comparison.ops.iter().for_each(|operation| self.visit(&operation.expr));
            }
            Expr::IfExpr(choice) => {
                self.visit(&choice.test_expr);
                self.visit(&choice.true_expr);
                choice.false_expr.iter().for_each(|other| self.visit(other));
            }
            Expr::Filter(filter) => {
                self.reads.filters.push(filter.name.to_owned());
                filter.expr.iter().for_each(|input| self.visit(input));
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.reads.tests.push(test.name.to_owned());
                self.visit(&test.expr);
                self.arguments(&test.args);
            }
            Expr::GetAttr(attribute) => self.visit(&attribute.expr),
            Expr::GetItem(item) => {
                self.visit(&item.expr);
                self.visit(&item.subscript_expr);
            }
            Expr::Call(call) => self.call(&call.expr, &call.args, call.span()),
            Expr::List(list) => list.items.iter().for_each(|item| self.visit(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.visit(item)),
            Expr::Map(map) => {
                map.keys.iter().chain(&map.values).for_each(|part| self.visit(part));
            }
        }
    }

    fn call(
        &mut self,
        callee: &Expr<'_>,
        arguments: &[CallArg<'_>],
        span: minijinja::machinery::Span,
    ) {
        match callee {
            Expr::Var(function) => {
                let text_argument = match arguments {
                    [CallArg::Pos(Expr::Const(constant))] => {
                        constant.value.as_str().map(str::to_owned)
                    }
                    _ => None,
                };
                let text = self.slice(span.start_offset, span.end_offset);
                let name = function.id.to_owned();
                self.reads.calls.push(FunctionCall { name, text_argument, text });
            }
            Expr::GetAttr(method) => {
                self.reads.methods.push(method.name.to_owned());
                self.visit(&method.expr);
            }
            other => self.visit(other),
        }
        self.arguments(arguments);
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(value)
                | CallArg::Kwarg(_, value)
                | CallArg::PosSplat(value)
                | CallArg::KwargSplat(value) => self.visit(value),
            }
        }
    }

    /// The chain of names that an expression is, if it is one. What computes a name is visited.
    fn path(&mut self, expression: &Expr<'_>) -> Option<Path> {
        match expression {
            Expr::Var(variable) => {
                let span = variable.span();
                Some(Path {
                    root: variable.id.to_owned(),
                    names: Vec::new(),
                    computed: false,
                    text: self.slice(span.start_offset, span.end_offset),
                    hyphenated: None,
                })
            }
            Expr::GetAttr(attribute) => {
                let path = self.path(&attribute.expr)?;
                Some(self.extend(path, Some(attribute.name), attribute.span().end_offset))
            }
            Expr::GetItem(item) => {
                let path = self.path(&item.expr)?;
                let end = item.span().end_offset;
                if let Expr::Const(constant) = &item.subscript_expr {
                    let name = constant.value.as_str().map(str::to_owned);
                    return Some(self.extend(path, name.as_deref(), end));
                }
                self.visit(&item.subscript_expr);
                Some(self.extend(path, None, end))
            }
            _ => None,
        }
    }

    fn extend(&self, path: Path, name: Option<&str>, end: u32) -> Path {
        let start = self.source.len().min(self.start_of(&path));
        let text = self.source.get(start..end as usize).unwrap_or(&path.text).to_owned();
        let mut path = Path { text, ..path };
        match name {
            Some(name) if !path.computed => path.names.push(name.to_owned()),
            _ => path.computed = true,
        }
        path
    }

    fn start_of(&self, path: &Path) -> usize {
        // The text of a path is a slice of the source, so that its address tells its place only
        // for the original; searching keeps this safe for the owned copy.
        self.source.find(&path.text).unwrap_or_default()
    }

    /// `a.b-c` reads as a subtraction; people who write it mean a name with a hyphen.
    fn note_hyphen(&mut self, left: &Expr<'_>, first_of_right: usize) {
        let Some(Path { text, names, .. }) = self.quiet_path(left) else { return };
        let (Some(last), Some(right)) = (names.last(), self.reads.paths.get(first_of_right)) else {
            return;
        };
        let Some(stem) = text.strip_suffix(&format!(".{last}")) else { return };
        let written = format!("{text}-{}", right.root);
        if let Some(at) = self.source.find(&written) {
            let tail = &self.source[at + stem.len() + 1..];
            let end = tail
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                .unwrap_or(tail.len());
            let name = tail[..end].trim_end_matches('-');
            self.reads.paths[first_of_right].hyphenated = Some(format!("{stem}['{name}']"));
        }
    }

    /// The chain that an expression is, without visiting anything again.
    fn quiet_path(&self, expression: &Expr<'_>) -> Option<Path> {
        let mut quiet = Walk { source: self.source, reads: Reads::default() };
        quiet.path(expression)
    }

    fn slice(&self, start: u32, end: u32) -> String {
        self.source.get(start as usize..end as usize).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(expression: &str) -> Vec<String> {
        let found = reads(expression).unwrap().paths;
        found
            .into_iter()
            .map(|path| {
                let dots = if path.computed { ".*" } else { "" };
                format!("{}.{}{dots}", path.root, path.names.join("."))
            })
            .collect()
    }

    #[test]
    fn chains_of_names_are_found_wherever_they_stand() {
        assert_eq!(
            paths("steps.a.output['b-c'].d > params.x and not env.Y"),
            ["steps.a.output.b-c.d", "params.x", "env.Y"]
        );
        assert_eq!(paths("[a.b, {'k': c.d}] | map(e.f)"), ["a.b", "c.d", "e.f"]);
        assert_eq!(paths("a[b.c].d"), ["b.c", "a..*"]);
        assert_eq!(paths("a.b[0].c"), ["a.b.*"]);
        assert_eq!(paths("x if y.z else w"), ["y.z", "x.", "w."]);
    }

    #[test]
    fn calls_and_filters_are_found() {
        let reads = reads("secret('DB') | default(secret(params.x)) is defined").unwrap();
        let calls: Vec<_> = reads.calls.iter().map(|call| call.text_argument.as_deref()).collect();
        assert_eq!(calls, [Some("DB"), None]);
        assert_eq!(reads.calls[0].text, "secret('DB')");
        assert_eq!((reads.filters, reads.tests), (vec!["default".into()], vec!["defined".into()]));
    }

    #[test]
    fn a_name_with_a_hyphen_is_recognised() {
        let found = reads("steps.load.output.streams.public-orders-2024.records").unwrap();
        assert_eq!(
            found.paths[1].hyphenated.as_deref(),
            Some("steps.load.output.streams['public-orders-2024']")
        );
        assert_eq!(reads("params.a - params.b").unwrap().paths[1].hyphenated, None);
    }

    #[test]
    fn what_does_not_parse_is_a_problem() {
        for wrong in ["", "1 +", "a b", "(", "a.", "{{ a }}", "'"] {
            assert!(reads(wrong).is_err(), "{wrong}");
        }
    }
}
