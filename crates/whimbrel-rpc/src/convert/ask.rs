//! What connectors ask for themselves.

use whimbrel_core::{ConnectorId, GoodbyeCode};

use super::pb::attached::What;
use super::{Malformed, Result, id, out, part, pb};
use crate::{Attach, AttachRefused, Attached, Lease, Standing};

/// The connector is that of the stream.
impl From<&Attach> for pb::Attach {
    fn from(attach: &Attach) -> Self {
        Self { session: Some((&attach.session).into()), since: attach.since, platform: attach.platform.clone() }
    }
}

impl pb::Attach {
    /// As the transfer sees it, from this connector.
    pub(crate) fn at(self, connector: ConnectorId) -> Result<Attach> {
        let session = part("Attach.session", self.session)?.try_into()?;
        Ok(Attach { session, connector, since: self.since, platform: self.platform })
    }
}

/// The answer to one attach, on its way out.
pub(crate) fn attach_result_out(result: &std::result::Result<Attached, AttachRefused>) -> pb::Attached {
    let what = match result {
        Ok(attached) => What::Registered(attached.registered),
        Err(refused) => What::Refused(pb::Close { code: refused.code.0, retry_after_ms: refused.retry_after_ms }),
    };
    pb::Attached { what: Some(what) }
}

/// The answer to one attach.
pub(crate) fn attach_result(attached: pb::Attached) -> Result<std::result::Result<Attached, AttachRefused>> {
    Ok(match part("Attached.what", attached.what)? {
        What::Registered(registered) => Ok(Attached { registered }),
        What::Refused(pb::Close { code, retry_after_ms }) => {
            Err(AttachRefused { code: GoodbyeCode(code), retry_after_ms })
        }
    })
}

impl From<&Standing> for pb::Standing {
    fn from(standing: &Standing) -> Self {
        Self { session: Some((&standing.session).into()), since: standing.since }
    }
}

impl TryFrom<pb::Standing> for Standing {
    type Error = Malformed;
    fn try_from(standing: pb::Standing) -> Result<Self> {
        Ok(Self { session: part("Standing.session", standing.session)?.try_into()?, since: standing.since })
    }
}

impl From<&Lease> for pb::Lease {
    fn from(lease: &Lease) -> Self {
        Self { incarnation: lease.incarnation.map(out), term: lease.term }
    }
}

impl From<pb::Lease> for Lease {
    fn from(lease: pb::Lease) -> Self {
        Self { incarnation: lease.incarnation.map(id), term: lease.term, kept: true }
    }
}
