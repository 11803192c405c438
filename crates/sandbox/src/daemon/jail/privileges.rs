//! Giving up rights.

use rustix::{
    io::Errno,
    process::{DumpableBehavior, Gid, Uid, geteuid, set_dumpable_behavior},
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
        set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use super::Failed;
use crate::{
    IsolationPolicy,
    jail::report::{Control, ControlName},
};

/// The user that the init can and shall become.
pub(super) fn user_to_become(uid: Option<u32>, policy: IsolationPolicy) -> Option<u32> {
    // A user namespace of one user has no other to become.
    uid.filter(|_| geteuid().is_root() && policy != IsolationPolicy::UserNamespace)
}

/// Becomes that user and drops every capability, for good. `why_not` says why there is none.
pub(super) fn drop_all(user: Option<u32>, why_not: Option<String>) -> Result<Vec<Control>, Failed> {
    let failed = |what: &'static str| move |error: Errno| Failed::new("privileges", what, error);
    // Whoever may not change these has no capability to lose.
    let _ = set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    );
    for capability in CapabilitySet::all().iter() {
        // A kernel that does not know it has nothing to remove, nor has an ordinary user.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = clear_ambient_capability_set();
    if let Some(user) = user {
        let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
        set_thread_groups(&[]).map_err(failed("groups"))?;
        set_thread_res_gid(gid, gid, gid).map_err(failed("the group"))?;
        set_thread_res_uid(uid, uid, uid).map_err(failed("the user"))?;
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(failed("capabilities"))?;
    set_no_new_privs(true).map_err(failed("no_new_privs"))?;
    // Another user makes a process readable again for that user.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("dumpable"))?;
    let uid = if let Some(user) = user {
        Control::enforced(ControlName::Uid).detail(user.to_string())
    } else {
        let why_not = why_not.unwrap_or_else(|| "it runs as the user of FlexCore".to_owned());
        Control::unavailable(ControlName::Uid, why_not)
    };
    Ok(vec![
        uid,
        Control::enforced(ControlName::Capabilities),
        Control::enforced(ControlName::NoNewPrivs),
    ])
}
