//! What is done in groups: by REST, one deed after the other in each group, and again until it has happened.
//!
//! A call that got no answer, or none that says what became of it, is made again with the same intent. If the answer then
//! is that it does not apply (they are in it already, or not any more), the first call had done it, and it counts as done:
//! whether it was done once, and not twice, is judged by the group's rows.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use whimbrel_client::{Credentials, Error, GroupAction, Rest, UserId};

use super::super::accounts::Accounts;
use super::super::clients::{Order, now_ms};
use super::Group;
use super::plan::{Deed, What};

/// Between two tries of the same, growing.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// After this the deed has failed: longer than any fault lasts.
const GIVE_UP: Duration = Duration::from_secs(90);

/// What happened to a group's members by the stewards' word, in its order: whether they came, and who.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::prove) struct Done {
    pub(in crate::prove) changes: Vec<(bool, UserId)>,
    /// Calls that had to be made again.
    pub(in crate::prove) repeated: u64,
    /// What did not go as it should.
    pub(in crate::prove) failures: Vec<String>,
}

/// Does everything in one group.
pub(in crate::prove) struct Steward {
    pub(in crate::prove) group: Group,
    pub(in crate::prove) rest: Rest,
    pub(in crate::prove) admin: Accounts,
    /// By their index in the plan.
    pub(in crate::prove) users: Vec<Credentials>,
    /// The owner's index.
    pub(in crate::prove) owner: usize,
    pub(in crate::prove) deeds: Vec<Deed>,
    pub(in crate::prove) began: Instant,
    pub(in crate::prove) order: watch::Receiver<Order>,
    pub(in crate::prove) done: Done,
}

/// What came of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Done,
    /// It was not made, or nobody knows: again after a while (as the server says, if it does).
    Again {
        after: Option<Duration>,
        uncertain: bool,
    },
    /// It does not fit what is.
    DoesNotApply,
}

impl Steward {
    /// Does what is planned until the load is over.
    pub(in crate::prove) async fn run(mut self) -> Done {
        let mut order = self.order.clone();
        for deed in std::mem::take(&mut self.deeds) {
            tokio::select! {
                () = tokio::time::sleep_until((self.began + deed.at).into()) => {}
                _ = order.wait_for(|order| *order != Order::Load) => break,
            }
            if let Err(why) = self.act(deed).await {
                let (group, user) = (self.group.conversation, self.users[deed.user].user);
                self.done.failures.push(format!("{:?} of user {user} in {group}: {why}", deed.what));
                // What is planned does not fit any more.
                break;
            }
        }
        self.done
    }

    async fn act(&mut self, deed: Deed) -> Result<(), String> {
        let user = self.users[deed.user].user;
        let join = GroupAction::Join { message: String::new() };
        match deed.what {
            What::Leave => self.call(deed.user, &GroupAction::Leave).await?,
            What::Remove => self.call(self.owner, &GroupAction::Remove(user)).await?,
            What::Join => self.call(deed.user, &join).await?,
            What::BeInvited => {
                self.call(self.owner, &GroupAction::Invite(vec![user])).await?;
                self.call(deed.user, &join).await?;
            }
            What::BeAdded => self.add(user).await?,
            What::BeMuted(time) => {
                let until = now_ms() + time.as_millis() as u64;
                return self.call(self.owner, &GroupAction::Mute(user, until)).await;
            }
        }
        self.done.changes.push((!matches!(deed.what, What::Leave | What::Remove), user));
        Ok(())
    }

    /// As a user.
    async fn call(&mut self, user: usize, action: &GroupAction) -> Result<(), String> {
        let (rest, credentials, group) = (self.rest.clone(), self.users[user].clone(), self.group.conversation);
        let call = || {
            let (rest, credentials, action) = (rest.clone(), credentials.clone(), action.clone());
            async move { answer_of(rest.act_in_group(&credentials, group, &action).await.map(drop)) }
        };
        until_done(&mut self.done.repeated, call).await
    }

    /// As the administrator.
    async fn add(&mut self, user: UserId) -> Result<(), String> {
        let (group, give_up) = (self.group.conversation, Instant::now() + GIVE_UP);
        let mut tries = 0;
        loop {
            match self.admin.add_members(group, &[user]).await {
                Ok(()) => return Ok(()),
                Err(error) if tries > 0 && format!("{error:#}").contains("not_applicable") => return Ok(()),
                Err(error) if Instant::now() > give_up => return Err(format!("{error:#}")),
                Err(_) => self.done.repeated += 1,
            }
            tries += 1;
            tokio::time::sleep((PAUSE.0 * tries).min(PAUSE.1)).await;
        }
    }
}

/// Calls until it has happened; `repeated` counts the calls after the first.
async fn until_done<F>(repeated: &mut u64, call: impl Fn() -> F) -> Result<(), String>
where
    F: Future<Output = Result<Answer, String>>,
{
    let give_up = Instant::now() + GIVE_UP;
    let (mut tries, mut is_uncertain) = (0, false);
    loop {
        let after = match call().await? {
            Answer::Done => return Ok(()),
            Answer::DoesNotApply if is_uncertain => return Ok(()),
            Answer::DoesNotApply => return Err("the server says that it does not apply".to_owned()),
            Answer::Again { .. } if Instant::now() > give_up => return Err(format!("not within {GIVE_UP:?}")),
            Answer::Again { after, uncertain } => {
                is_uncertain |= uncertain;
                after
            }
        };
        *repeated += 1;
        tries += 1;
        tokio::time::sleep(after.unwrap_or((PAUSE.0 * tries).min(PAUSE.1))).await;
    }
}

/// What an answer of REST means for who wants something to have happened.
fn answer_of(answer: Result<(), Error>) -> Result<Answer, String> {
    match answer {
        Ok(()) => Ok(Answer::Done),
        Err(Error::Api(error)) => match error.code.as_str() {
            // Who has left may not leave again, and who is not there is not removed.
            "not_applicable" | "not_a_member" | "forbidden" | "no_such_group" => Ok(Answer::DoesNotApply),
            _ if error.status == 429 => Ok(Answer::Again { after: error.retry_after, uncertain: false }),
            _ if error.status >= 500 || error.status == 408 => {
                Ok(Answer::Again { after: error.retry_after, uncertain: true })
            }
            _ => Err(error.to_string()),
        },
        Err(Error::Http(_)) => Ok(Answer::Again { after: None, uncertain: true }),
        Err(other) => Err(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use whimbrel_client::ApiError;

    use super::*;

    fn refused(status: u16, code: &str) -> Result<(), Error> {
        let (code, message) = (code.to_owned(), String::new());
        Err(Error::Api(ApiError { status, code, message, field: None, retry_after: None }))
    }

    /// What comes of these answers, and how many calls were made again.
    async fn outcome<const N: usize>(answers: [Result<(), Error>; N]) -> (Result<(), String>, u64) {
        let (answers, mut repeated) = (Mutex::new(answers.into_iter()), 0);
        let next = || answers.lock().expect("nobody panics").next().expect("no call after the last answer");
        let result = until_done(&mut repeated, || std::future::ready(answer_of(next()))).await;
        (result, repeated)
    }

    /// The first call may have done it; a refusal that comes without any such call is a fault.
    #[tokio::test]
    async fn what_does_not_apply_is_done_if_a_call_before_got_no_clear_answer_and_else_a_fault() {
        assert_eq!(outcome([refused(503, "unavailable"), refused(403, "forbidden")]).await, (Ok(()), 1));
        assert_eq!(outcome([refused(429, "delayed"), Ok(())]).await, (Ok(()), 1));
        assert!(outcome([refused(409, "not_applicable")]).await.0.is_err());
        let put_off = outcome([refused(429, "delayed"), refused(409, "not_applicable")]).await;
        assert!(put_off.0.is_err(), "a call that was put off was not made");
        assert!(outcome([refused(400, "invalid")]).await.0.is_err());
    }
}
