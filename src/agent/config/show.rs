//! A configuration as the file that would say the same.

use super::{AgentConfig, LogFormat, settings, templates};

impl AgentConfig {
    /// Every key with the value in effect. Reading the result as a file gives the same
    /// configuration.
    pub fn to_toml(&self) -> toml::Table {
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: toml::Value| {
            table.insert(key.to_owned(), value);
        };
        put("node", self.node.as_str().into());
        put("cluster", self.cluster.as_str().into());
        put("bind", self.bind.to_string().into());
        if let Some(advertise) = self.advertise {
            put("advertise", advertise.to_string().into());
        }
        put("join", self.join.iter().map(ToString::to_string).collect::<Vec<_>>().into());
        put("socket", self.socket.to_string_lossy().into_owned().into());
        put("socket_mode", format!("{:04o}", self.socket_mode).into());
        if let Some(group) = &self.socket_group {
            put("socket_group", group.name.as_str().into());
        }
        match &self.data_dir {
            Some(dir) => put("data_dir", dir.to_string_lossy().into_owned().into()),
            None => put("no_persist", true.into()),
        }
        put("profile", self.profile.as_str().into());
        if let Some(file) = &self.key_file {
            put("key_file", file.to_string_lossy().into_owned().into());
        }
        put("allow_plaintext", self.allow_plaintext.into());
        put("enable_script_checks", self.enable_script_checks.into());
        put("enable_local_script_checks", self.enable_local_script_checks.into());
        let tags: toml::Table = self.tags.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
        put("tag", tags.into());
        put("log_level", self.log_level.as_str().into());
        let format = match self.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        put("log_format", format.into());
        self.access.show(&mut table);
        self.dns.show(&mut table);
        settings::show(&self.core, &mut table);
        templates::show(&self.templates, &mut table);
        table
    }

    /// Keys whose values differ between the two.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (mine, theirs) = (self.to_toml(), other.to_toml());
        let mut keys: Vec<String> = mine.keys().chain(theirs.keys()).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| mine.get(key) != theirs.get(key));
        keys
    }
}
