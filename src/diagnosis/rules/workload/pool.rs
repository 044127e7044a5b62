//! How many database connections one pod may open: pool size, overflow and workers out of environment and command line.
//!
//! Only what is written counts: defaults of drivers (`SQLAlchemy`: 5 + 10, `HikariCP`: 10, ...) are not assumed, since nobody can
//! see from outside whether a pool is used at all.

use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::pod_spec::Container;

/// What one container may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Connections of one process: pool size and overflow.
    pub size: u64,
    /// Processes that have a pool each.
    pub workers: u64,
    /// Where each number stands: field below the container, text.
    pub read: Vec<(String, String)>,
}

impl Pool {
    /// Connections of the container.
    pub fn connections(&self) -> u64 {
        self.size * self.workers
    }
}

/// Variables that hold the size of a pool of connections. `POOL_SIZE` alone may be a thread pool: it counts with a database's
/// name in front of it, or as the whole name.
static SIZE: Pattern = Pattern::new(
    r"(?i)^(?:(?:.*_)?(?:DB|DATABASE|PG|POSTGRES(?:QL)?|MYSQL|MARIADB|SQL|SQLALCHEMY(?:_ENGINE)?|ASYNCPG|ORM|HIKARI|DATASOURCE|JDBC|TYPEORM|SEQUELIZE|KNEX|PRISMA|DJANGO_DB|R2DBC|GORM|TORTOISE)_(?:.*_)?(?:POOL|POOL_?SIZE|POOL_?MAX(?:_?SIZE)?|MAX_?POOL(?:_?SIZE)?|MAXIMUM_?POOL_?SIZE|MAX_?SIZE|MAX_?CONNECTIONS?|MAX_?CONNS?|MAX_?OPEN_?CONN(?:ECTION)?S|CONNECTION_?LIMIT|POOL_?LIMIT)|POOL_SIZE|MAX_POOL_SIZE|POOL_MAX_SIZE)$",
);
static OVERFLOW: Pattern = Pattern::new(r"(?i)^(?:.*_)?MAX_?OVERFLOW$");
static OTHER_POOL: Pattern = Pattern::new(r"(?i)redis|thread|http|kafka|celery|executor|mongo|rabbit|worker");
/// Rails gives each Puma process a pool as large as its number of threads.
const RAILS: &str = "RAILS_MAX_THREADS";
static WORKERS: Pattern = Pattern::new(
    r"(?i)^(?:WEB_CONCURRENCY|(?:UVICORN|GUNICORN|HYPERCORN|GRANIAN|PUMA|APP|API|WEB|NUM|MAX)_WORKERS|WORKERS|WORKER_COUNT)$",
);
static WORKERS_FLAG: Pattern = Pattern::new(r"(?:^|\s)(?:--workers|--worker-count|-w)(?:[= ]+)(\d{1,3})\b");
/// Pool settings in a connection URL: Prisma, Rails, sequelize, asyncpg.
static URL_SIZE: Pattern = Pattern::new(
    r"(?i)^[a-z][\w+.-]*://.*[?&](?:pool_size|connection_limit|pool|max_pool_size|pool_max_conns|maxPoolSize|max_size)=(\d{1,4})\b",
);

static URL_OVERFLOW: Pattern = Pattern::new(r"(?i)^[a-z][\w+.-]*://.*[?&]max_overflow=(\d{1,4})\b");

/// The pool of a container, when a size is written.
pub fn of(container: &Container) -> Option<Pool> {
    let plain = || container.env.iter().filter_map(|v| Some((&*v.name, v.value.as_deref()?)));
    let number = |value: &str| value.trim().parse::<u64>().ok().filter(|n| (1..=5000).contains(n));
    let mut read = Vec::new();
    let by_name = plain().find(|(name, value)| SIZE.is_match(name) && !OTHER_POOL.is_match(name) && number(value).is_some());
    let rails = || plain().find(|(name, value)| *name == RAILS && number(value).is_some());
    let mut size = if let Some((name, value)) = by_name.or_else(rails) {
        read.push((format!("env[{name}]"), value.to_owned()));
        number(value)?
    } else {
        let (name, url, size) =
            plain().find_map(|(name, value)| Some((name, value, URL_SIZE.group(value, 1)?.parse::<u64>().ok()?)))?;
        let size = size + URL_OVERFLOW.group(url, 1).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default();
        // The URL may hold a password: only the number is quoted.
        read.push((format!("env[{name}]"), format!("pool of {size}")));
        size
    };
    if let Some((name, value)) = plain().find(|(name, value)| OVERFLOW.is_match(name) && number(value).is_some()) {
        read.push((format!("env[{name}]"), value.to_owned()));
        size += number(value)?;
    }
    let workers = workers(container, &mut read).unwrap_or(1);
    Some(Pool { size, workers, read })
}

fn workers(container: &Container, read: &mut Vec<(String, String)>) -> Option<u64> {
    let lines = [("command", &container.command), ("args", &container.args)];
    for (field, words) in lines {
        let line = words.iter().map(|w| &**w).collect::<Vec<_>>().join(" ");
        if let Some(found) = WORKERS_FLAG.group(&line, 1) {
            read.push((field.to_owned(), format!("--workers {found}")));
            return found.parse().ok().filter(|n| *n > 0);
        }
    }
    for variable in &container.env {
        let Some(value) = variable.value.as_deref() else { continue };
        let found = if &*variable.name == "GUNICORN_CMD_ARGS" {
            WORKERS_FLAG.group(value, 1)
        } else {
            Some(value.trim()).filter(|_| WORKERS.is_match(&variable.name))
        };
        if let Some(number) = found.and_then(|n| n.parse::<u64>().ok()).filter(|n| (1..=256).contains(n)) {
            read.push((format!("env[{}]", variable.name), number.to_string()));
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::pod_spec::EnvVar;

    fn container(env: &[(&str, &str)], args: &[&str]) -> Container {
        let var = |(name, value): &(&str, &str)| EnvVar { name: (*name).into(), value: Some((*value).into()), value_from: None };
        Container { env: env.iter().map(var).collect(), args: args.iter().map(|a| (*a).into()).collect(), ..Container::default() }
    }

    fn connections(env: &[(&str, &str)], args: &[&str]) -> Option<u64> {
        of(&container(env, args)).map(|pool| pool.connections())
    }

    #[test]
    fn names_of_common_stacks_are_known() {
        for name in [
            "DB_POOL_SIZE",
            "DATABASE_POOL_SIZE",
            "SQLALCHEMY_POOL_SIZE",
            "DB_POOL",
            "PG_POOL_MAX",
            "SPRING_DATASOURCE_HIKARI_MAXIMUM_POOL_SIZE",
            "HIKARI_MAXIMUM_POOL_SIZE",
            "DB_MAX_OPEN_CONNS",
            "DATABASE_MAX_CONNECTIONS",
            "POOL_SIZE",
            "RAILS_MAX_THREADS",
            "APP_DB_POOL_MAX",
        ] {
            assert_eq!(connections(&[(name, "20")], &[]), Some(20), "{name}");
        }
        for name in
            ["REDIS_POOL_SIZE", "THREAD_POOL_SIZE", "DB_REDIS_POOL_SIZE", "DB_PORT", "DB_POOL_TIMEOUT", "KAFKA_MAX_POOL_SIZE"]
        {
            assert_eq!(connections(&[(name, "20")], &[]), None, "{name}");
        }
    }

    #[test]
    fn workers_and_overflow_multiply_and_add() {
        let env = [("DB_POOL_SIZE", "5"), ("DB_MAX_OVERFLOW", "10")];
        assert_eq!(connections(&env, &["uvicorn", "app:app", "--workers", "4"]), Some(60));
        assert_eq!(connections(&[("DB_POOL_SIZE", "5"), ("WEB_CONCURRENCY", "3")], &[]), Some(15));
        assert_eq!(connections(&[("DB_POOL_SIZE", "5"), ("GUNICORN_CMD_ARGS", "-w 8 --timeout 60")], &[]), Some(40));
        assert_eq!(connections(&[("DB_POOL_SIZE", "auto")], &[]), None);
    }

    #[test]
    fn a_pool_in_the_url_counts_and_its_password_is_not_quoted() {
        let pool =
            of(&container(&[("DATABASE_URL", "postgresql://app:s3cret@db/app?connection_limit=12")], &[])).expect("a pool");
        assert_eq!(pool.connections(), 12);
        assert_eq!(connections(&[("DATABASE_URL", "postgresql://db/app?pool_size=20&max_overflow=10")], &[]), Some(30));
        assert!(pool.read.iter().all(|(_, text)| !text.contains("s3cret")));
    }
}
