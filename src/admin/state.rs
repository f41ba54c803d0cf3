//! The whole configuration as one document.

use axum::extract::State;
use serde::Deserialize;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::{Asked, Document, is_yes};
use super::problem::Problem;
use super::reply::Reply;
use crate::rest::{ChangeKind, StateChanges, StateDocument};
