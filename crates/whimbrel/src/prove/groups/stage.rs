//! Making a run's groups, by the administrator's REST: nobody in them is asked.

use whimbrel_client::UserId;
use whimbrel_core::limits::GROUP_MEMBERS;

use super::super::accounts::{Accounts, NewGroup};
use super::Group;
use super::plan::GroupPlan;

/// Makes the groups of a plan, whose users are these.
///
/// # Errors
/// When the server refuses something.
pub(in crate::prove) async fn make(
    admin: &Accounts,
    plans: &[GroupPlan],
    users: &[UserId],
) -> anyhow::Result<Vec<Group>> {
    let mut groups = Vec::with_capacity(plans.len());
    for (number, plan) in plans.iter().enumerate() {
        let mut members: Vec<_> = plan.members.iter().map(|user| users[*user]).collect();
        members.extend(admin.users(plan.silent).await?);
        let owner = members.remove(0);
        let new = NewGroup {
            owner,
            name: &format!("Group {number}"),
            open: plan.open,
            history: plan.history,
            member_limit: GROUP_MEMBERS,
        };
        let conversation = admin.group(&new).await?;
        admin.add_members(conversation, &members).await?;
        groups.push(Group { conversation, owner, history: plan.history, members: 1 + members.len() });
    }
    Ok(groups)
}
