//! Filters over times: `date`, `add_duration` and `floor`.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use minijinja::{Error, ErrorKind, Value, value::Kwargs};

use crate::units::parse_duration;

const NANOSECONDS_PER_DAY: i128 = 86_400_000_000_000;

/// A text that is a moment (RFC 3339) or a day (`2026-01-31`).
enum Time {
    Moment(Timestamp),
    Day(Date),
}

/// `time | date('%Y-%m-%d', timezone='Europe/Lisbon')`: the time in a strftime format, by default
/// `%Y-%m-%d`, in a time zone, by default UTC.
pub(super) fn date(value: &Value, format: Option<&str>, options: &Kwargs) -> Result<String, Error> {
    let zone: Option<&str> = options.get("timezone")?;
    options.assert_all_used()?;
    let zone = match zone {
        Some(name) => TimeZone::get(name)
            .map_err(|_| invalid(format!("`{name}` is not the name of a time zone")))?,
        None => TimeZone::UTC,
    };
    let format = format.unwrap_or("%Y-%m-%d");
    let printed = match time(value)? {
        Time::Moment(moment) => jiff::fmt::strtime::format(format, &moment.to_zoned(zone)),
        Time::Day(day) => jiff::fmt::strtime::format(format, day),
    };
    printed.map_err(|error| invalid(format!("`{format}` cannot format this time: {error}")))
}

/// `time | add_duration('-7d')`: the time so much later, or earlier. A day stays a day.
pub(super) fn add_duration(value: &Value, duration: &str) -> Result<String, Error> {
    let (negative, digits) = match duration.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, duration),
    };
    let length = parse_duration(digits)
        .and_then(|length| SignedDuration::try_from(length).ok())
        .ok_or_else(|| invalid(format!("`{duration}` is not a duration such as `-7d` or `2h`")))?;
    let length = if negative { -length } else { length };
    let beyond = |_| invalid(format!("{duration} from this time is beyond the calendar"));
    match time(value)? {
        Time::Moment(moment) => Ok(moment.checked_add(length).map_err(beyond)?.to_string()),
        Time::Day(_) if length.as_nanos() % NANOSECONDS_PER_DAY != 0 => {
            Err(invalid("only whole days can be added to a day".to_owned()))
        }
        Time::Day(day) => Ok(day.checked_add(length).map_err(beyond)?.to_string()),
    }
}

/// `time | floor('1h')`: the last whole hour (of UTC) at or before the time. A number without an
/// argument is rounded down.
pub(super) fn floor(value: &Value, unit: Option<&str>) -> Result<Value, Error> {
    let Some(unit) = unit else {
        let number = f64::try_from(value.clone())
            .map_err(|_| invalid("`floor` without a duration takes a number".to_owned()))?
            .floor();
        #[expect(clippy::cast_possible_truncation, reason = "checked: within 53 bits")]
        let whole = (number.abs() < 9e15).then_some(number as i64);
        return Ok(whole.map_or_else(|| Value::from(number), Value::from));
    };
    let length = parse_duration(unit).filter(|length| !length.is_zero()).ok_or_else(|| {
        invalid(format!("`{unit}` is not a duration such as `15m`, `1h` or `1d`"))
    })?;
    let length = i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
    let moment = match time(value)? {
        Time::Moment(moment) => moment,
        Time::Day(day) => {
            day.to_zoned(TimeZone::UTC).map_err(|error| invalid(error.to_string()))?.timestamp()
        }
    };
    let floored = moment.as_nanosecond().div_euclid(length).saturating_mul(length);
    Timestamp::from_nanosecond(floored)
        .map(|moment| Value::from(moment.to_string()))
        .map_err(|_| invalid(format!("the last whole {unit} is beyond the calendar")))
}

fn time(value: &Value) -> Result<Time, Error> {
    let text = value.as_str().unwrap_or_default();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Time::Moment(moment));
    }
    if text.len() == "2026-01-31".len()
        && let Ok(day) = text.parse::<Date>()
    {
        return Ok(Time::Day(day));
    }
    let shown =
        value.as_str().map_or_else(|| format!("a {}", value.kind()), |text| format!("`{text}`"));
    Err(invalid(format!("{shown} is neither a time (RFC 3339) nor a day such as `2026-01-31`")))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
