//! The *first-call card*: everything a newcomer needs to hear a phone and a browser talk, printed
//! at start and kept in `first-call.json`.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::id::{MeetingId, OrganizationId};

/// Name of the file within the data folder.
pub const FILE: &str = "first-call.json";

/// The card. Secrets exist only here and in the hands of whoever read it; the store keeps hashes.
#[derive(Clone, Serialize, Deserialize)]
pub struct FirstCall {
    /// For a browser on this machine.
    pub join_url: String,
    /// For browsers elsewhere: they give no microphone to plain http.
    pub https_join_url: Option<String>,
    /// What a phone dials.
    pub sip_uri: String,
    /// The same over TLS.
    pub sip_tls_uri: Option<String>,
    /// Digest user name; `None` when an earlier start told it and the file was removed since.
    pub sip_username: Option<String>,
    /// Digest password; told once.
    pub sip_password: Option<String>,
    /// Base of the REST API.
    pub api_base: String,
    /// User name of the REST API.
    pub organization_id: OrganizationId,
    /// Password of the REST API; told once.
    pub api_key: Option<String>,
    /// The demo meeting.
    pub meeting_id: MeetingId,
    /// Metrics, health and admin calls.
    pub admin_base: String,
}

impl FirstCall {
    /// Reads the card of an earlier start, for its secrets; `None` if there is none that can be
    /// read.
    pub fn read(data_dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(data_dir.join(FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes the card for its owner's eyes only, whole or not at all.
    ///
    /// # Errors
    /// The folder is not writable, or the disk is full.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        let (path, draft) = (data_dir.join(FILE), data_dir.join(format!("{FILE}.new")));
        // A draft left by a crash may have another mode: start afresh.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(draft, path)
    }
}

impl fmt::Debug for FirstCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstCall")
            .field("meeting_id", &self.meeting_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for FirstCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TOLD: &str = "(told at the first start)";
        let secret = |value: &Option<String>| value.clone().unwrap_or_else(|| TOLD.to_owned());
        writeln!(
            f,
            "  ── Your first call ─────────────────────────────────────────────"
        )?;
        writeln!(f, "  1. Open in a browser on this machine:")?;
        writeln!(f, "       {}", self.join_url)?;
        if let Some(url) = &self.https_join_url {
            writeln!(f, "     or from another machine (accept the certificate):")?;
            writeln!(f, "       {url}")?;
        }
        writeln!(f, "  2. Dial from any softphone, or <Dial><Sip>:")?;
        writeln!(f, "       address    {}", self.sip_uri)?;
        writeln!(f, "       user name  {}", secret(&self.sip_username))?;
        writeln!(f, "       password   {}", secret(&self.sip_password))?;
        writeln!(f, "  REST API       {}", self.api_base)?;
        writeln!(f, "       user       {}", self.organization_id)?;
        writeln!(f, "       key        {}", secret(&self.api_key))?;
        write!(
            f,
            "  ────────────────────────────────────────────────────────────────"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_card_is_for_its_owner_only_and_is_read_back() {
        let folder = std::env::temp_dir().join(format!("ringbridge-card-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let card = FirstCall {
            join_url: "http://localhost:8080/join#token=t".to_owned(),
            https_join_url: None,
            sip_uri: "sip:m@192.0.2.1".to_owned(),
            sip_tls_uri: None,
            sip_username: Some("u".to_owned()),
            sip_password: Some("p".to_owned()),
            api_base: "http://localhost:8080/v2".to_owned(),
            organization_id: OrganizationId::from_random(1),
            api_key: None,
            meeting_id: MeetingId::from_random(2),
            admin_base: "http://127.0.0.1:9090".to_owned(),
        };
        card.write(&folder).unwrap();
        card.write(&folder).unwrap();
        let mode = fs::metadata(folder.join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = FirstCall::read(&folder).unwrap();
        assert_eq!(read.sip_password.as_deref(), Some("p"));
        assert!(read.to_string().contains("(told at the first start)"));
        fs::remove_dir_all(folder).unwrap();
    }
}
