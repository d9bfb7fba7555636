//! The one shape in which every error is answered, and the codes it may carry.
//!
//! Owns the mapping from what went wrong to a status, a code and a sentence. Nothing of the inside crosses it: no
//! engine's words, no SQL, no stack, no secret. What failed inside is kept as the error's source, travels in the
//! response's extensions to the outermost layer, and is logged there once.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_store::StoreError;
use whimbrel_store::blobs::BlobError;
use whimbrel_store::directory::DirectoryError;
use whimbrel_store::filing::FileError;
use whimbrel_store::groups::GroupError;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:ident, $sentence:literal;)*) => {
        /// What went wrong, for programs. Clients decide by the code, never by the sentence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, for the document and for tests.
            pub const ALL: &'static [Code] = &[$(Self::$name),*];

            /// The code as it is sent.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The status that it is sent with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The sentence for a person, unless the case has a better one.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

codes! {
    /// The request is not what the document says: no JSON, a wrong type, an unknown field, a bad parameter.
    BadRequest = "bad_request", BAD_REQUEST, "The request is not in the documented form.";
    /// A field has the right form and an unacceptable value; `field` names it.
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "A field's value is not acceptable.";
    /// There is no token, or it is not one of this server's.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid access token is needed.";
    /// The token was good once.
    TokenExpired = "token_expired", UNAUTHORIZED, "The access token has expired; refresh it.";
    /// The token's device was logged out, or its account deleted.
    LoggedOut = "logged_out", UNAUTHORIZED, "This device is logged out.";
    /// Handle or password are wrong; which of the two is not told.
    BadCredentials = "bad_credentials", UNAUTHORIZED, "The handle or the password is wrong.";
    /// The refresh token is nobody's (any more).
    RefreshInvalid = "refresh_invalid", UNAUTHORIZED, "The refresh token is not valid; log in again.";
    /// The refresh token was used before, too long ago to be a repeat; its device was logged out.
    RefreshReused = "refresh_reused", UNAUTHORIZED, "The refresh token was used before; its device has been logged out.";
    /// This is not for the one who asks.
    Forbidden = "forbidden", FORBIDDEN, "This is not allowed.";
    /// Accounts are made by the administrator only.
    RegistrationClosed = "registration_closed", FORBIDDEN, "Accounts cannot be registered here.";
    /// One of the two blocks the other; who is not told.
    Blocked = "blocked", FORBIDDEN, "This person cannot be asked.";
    /// There is nothing at this path.
    NotFound = "not_found", NOT_FOUND, "There is nothing at this path.";
    /// There is no such user (any more).
    NoSuchUser = "no_such_user", NOT_FOUND, "There is no such user.";
    /// There is no such device, or it is logged out.
    NoSuchDevice = "no_such_device", NOT_FOUND, "There is no such device.";
    /// There is no such group, or the one who asks may not know of it.
    NoSuchGroup = "no_such_group", NOT_FOUND, "There is no such group.";
    /// There is no such conversation, or the one who asks has never been in it.
    NoSuchConversation = "no_such_conversation", NOT_FOUND, "There is no such conversation.";
    /// There is no such file, or not for the one who asks.
    NoSuchFile = "no_such_file", NOT_FOUND, "There is no such file.";
    /// There is no small picture of the file.
    NoThumbnail = "no_thumbnail", NOT_FOUND, "There is no small picture of this file.";
    /// The path exists, with other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This path does not take this method.";
    /// The handle is somebody's, or another group's.
    HandleTaken = "handle_taken", CONFLICT, "This handle is taken.";
    /// The change does not fit what is: what the two users are to each other, who is in the group, what was asked.
    NotApplicable = "not_applicable", CONFLICT, "This does not apply to what is now.";
    /// The deployment keeps bodies encrypted: the server cannot read what was said.
    SearchUnavailable = "search_unavailable", CONFLICT,
        "Bodies are encrypted here; clients search their own store.";
    /// The user whom the change is about is not in the group.
    NotAMember = "not_a_member", CONFLICT, "This user is not in the group.";
    /// The group has as many members as it may have.
    GroupFull = "group_full", CONFLICT, "The group is full.";
    /// A user is in as many groups as one may be in.
    TooManyGroups = "too_many_groups", CONFLICT, "There are too many groups; leave one first.";
    /// As many requests and invitations of the group wait for an answer as may.
    TooManyRequests = "too_many_requests", CONFLICT, "Too many requests and invitations wait for an answer.";
    /// The user has as many devices as one may have.
    TooManyDevices = "too_many_devices", CONFLICT, "There are too many devices; log one out first.";
    /// The user has as many relations as one may have.
    TooManyRelations = "too_many_relations", CONFLICT, "There are too many friends and requests.";
    /// The user's files take up as much room, or are as many, as they may.
    QuotaExceeded = "quota_exceeded", CONFLICT, "Your files take up all the room that they may.";
    /// As many uploads of the user's are not whole as may be.
    TooManyUploads = "too_many_uploads", CONFLICT, "Too many uploads are not complete.";
    /// The id is another file's.
    FileIdTaken = "file_id_taken", CONFLICT, "This id is another file's.";
    /// The piece does not begin where the upload ends, or the upload is not whole: ask how far it is.
    WrongOffset = "wrong_offset", CONFLICT, "The upload is not as far as this.";
    /// Another request writes to the upload.
    UploadBusy = "upload_busy", CONFLICT, "Another request writes to this upload.";
    /// The proof is wrong, was tried before, or there is no such content: send it.
    ProofNotAccepted = "proof_not_accepted", CONFLICT, "This proves nothing; send the file.";
    /// A message refers to the file.
    FileAttached = "file_attached", CONFLICT, "A message came with this file.";
    /// The file is longer than files may be.
    FileTooLarge = "file_too_large", PAYLOAD_TOO_LARGE, "The file is too large.";
    /// Files of this type are not taken.
    TypeNotAllowed = "type_not_allowed", UNSUPPORTED_MEDIA_TYPE, "Files of this type are not taken here.";
    /// The bytes have another hash than was announced; the upload was given up.
    ContentMismatch = "content_mismatch", UNPROCESSABLE_ENTITY, "These are not the bytes that were announced.";
    /// The file is not of the type that it claims; the upload was given up.
    TypeMismatch = "type_mismatch", UNPROCESSABLE_ENTITY, "The file is not of the type that it claims to be.";
    /// What cameras write into pictures cannot be taken out of this one: it is of a kind that is not known here, damaged, or
    /// too long; an upload was given up.
    MetadataStays = "metadata_stays", UNPROCESSABLE_ENTITY, "What a camera may have written into this picture cannot be \
        taken out. Announce it with keeps_metadata, or as application/octet-stream.";
    /// The picture has more pixels than pictures may have; the upload was given up.
    TooManyPixels = "too_many_pixels", UNPROCESSABLE_ENTITY, "The picture has too many pixels.";
    /// Nothing of the range is in the file.
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE, "The file does not reach so far.";
    /// The body is longer than the limit.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The request is too large.";
    /// The body is not said to be JSON.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.";
    /// Too many attempts for this account or from this address, or too many changes by this user: later, not never.
    /// `Retry-After` says when.
    TooManyAttempts = "too_many_attempts", TOO_MANY_REQUESTS, "Too many attempts or changes; try again later.";
    /// The server has as much to do as it takes on. `Retry-After` says when to come back.
    Busy = "busy", SERVICE_UNAVAILABLE, "The server is busy; try again.";
    /// Something that the server needs is away. `Retry-After` says when to come back.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The server cannot do this now; try again.";
    /// Not done within the request's time; whether a change took place is unknown.
    Timeout = "timeout", GATEWAY_TIMEOUT, "This took too long; whether it was done is unknown.";
    /// A fault of the server.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on the server.";
}

/// The shape of every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error, example = json!({"code": "handle_taken", "message": "This handle is taken.", "field": "handle"}))]
pub(crate) struct ErrorBody {
    /// For programs.
    code: &'static str,
    /// For people.
    message: Cow<'static, str>,
    /// The field that is to be changed, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
#[error("{}", .code.name())]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    pub(crate) field: Option<&'static str>,
    pub(crate) retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What lay behind a 5xx; in the response's extensions until it is logged.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) Arc<dyn Error + Send + Sync>);

/// When to come back after `busy` and `unavailable`.
const COME_BACK: Duration = Duration::from_secs(1);

impl ApiError {
    pub(crate) fn new(code: Code) -> Self {
        let retry_after = matches!(code, Code::Busy | Code::Unavailable).then_some(COME_BACK);
        Self { code, message: Cow::Borrowed(code.sentence()), field: None, retry_after, source: None }
    }

    /// The same with a better sentence.
    pub(crate) fn says(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// A field whose value is not acceptable, and why.
    pub(crate) fn invalid(field: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field), ..Self::new(Code::Invalid).says(why) }
    }

    /// Too many attempts; come back after this.
    pub(crate) fn delayed(wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(Code::TooManyAttempts) }
    }

    /// A fault of the server, with what lies behind it.
    pub(crate) fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(Code::Internal) }
    }

    pub(crate) fn body(self) -> ErrorBody {
        ErrorBody { code: self.code.name(), message: self.message, field: self.field }
    }

    /// As one answer of many: there the log has no response to hang on, so a fault is logged here.
    pub(crate) fn logged(self) -> ErrorBody {
        if let Some(source) = &self.source {
            tracing::error!(code = self.code.name(), error = %chain(source.as_ref()), "a part of a request failed");
        }
        self.body()
    }
}

/// The error and everything behind it, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self { source: Some(Box::new(error)), ..Self::new(Code::Unavailable) },
            StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::HandleTaken => Self { field: Some("handle"), ..Self::new(Code::HandleTaken) },
            DirectoryError::NoSuchUser => Self::new(Code::NoSuchUser),
            DirectoryError::NoSuchDevice => Self::new(Code::NoSuchDevice),
            DirectoryError::TooManyDevices => Self::new(Code::TooManyDevices),
            DirectoryError::NotApplicable(why) => Self::new(Code::NotApplicable).says(why),
            DirectoryError::Blocked => Self::new(Code::Blocked),
            DirectoryError::TooManyRelations => Self::new(Code::TooManyRelations),
            DirectoryError::Store(error) => error.into(),
        }
    }
}

impl From<GroupError> for ApiError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::HandleTaken => Self { field: Some("handle"), ..Self::new(Code::HandleTaken) },
            GroupError::NoSuchGroup => Self::new(Code::NoSuchGroup),
            GroupError::NoSuchUser => Self::new(Code::NoSuchUser),
            GroupError::NotMember => Self::new(Code::NotAMember),
            GroupError::Forbidden(why) => Self::new(Code::Forbidden).says(why),
            GroupError::NotApplicable(why) => Self::new(Code::NotApplicable).says(why),
            GroupError::Full => Self::new(Code::GroupFull),
            GroupError::TooManyGroups => Self::new(Code::TooManyGroups),
            GroupError::TooManyRequests => Self::new(Code::TooManyRequests),
            GroupError::Store(error) => error.into(),
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NoSuchFile => Self::new(Code::NoSuchFile),
            FileError::Taken => Self { field: Some("id"), ..Self::new(Code::FileIdTaken) },
            FileError::NoRoom("uploads") => Self::new(Code::TooManyUploads),
            FileError::NoRoom("files") => {
                Self::new(Code::QuotaExceeded).says("You have as many files as one may have.")
            }
            FileError::NoRoom(_) => Self::new(Code::QuotaExceeded),
            FileError::Attached => Self::new(Code::FileAttached),
            FileError::Store(error) => error.into(),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Offset { received } => {
                Self::new(Code::WrongOffset).says(format!("Of the upload {received} bytes are here; go on from there."))
            }
            BlobError::Busy => Self::new(Code::UploadBusy),
            BlobError::TooLong => Self::new(Code::TooLarge).says("More bytes came than the file has."),
            BlobError::OtherHash => Self::new(Code::ContentMismatch),
            BlobError::Gone => Self::new(Code::NoSuchFile),
            BlobError::Body(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                Self::new(Code::TooLarge).says("A piece has at most 8 MiB.")
            }
            BlobError::Body(_) => {
                Self::new(Code::BadRequest).says("the piece did not arrive whole; ask how far it came")
            }
            BlobError::Unavailable(_) => Self { source: Some(Box::new(error)), ..Self::new(Code::Unavailable) },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let (status, retry_after, source) = (self.code.status(), self.retry_after, self.source.take());
        let mut response = (status, axum::Json(self.body())).into_response();
        if let Some(wait) = retry_after {
            // Whole seconds, rounded up: who comes back then is not too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(source) = source {
            response.extensions_mut().insert(Cause(source.into()));
        }
        response
    }
}
