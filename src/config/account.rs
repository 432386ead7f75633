//! Which account runs the program: the audit log names it for manual acts.

use super::environment::Environment;

/// Returns the account's name; under `sudo`, the account that called it: `jo (as root)`.
pub fn account(variables: &Environment) -> String {
    let name = whoami::username().unwrap_or_else(|_| "an unknown account".to_owned());
    match variables.get("SUDO_USER").filter(|_| name == "root") {
        Some(asked) => format!("{asked} (as root)"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_a_name() {
        assert!(!account(&Environment::new()).is_empty());
    }
}
