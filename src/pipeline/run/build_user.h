/* SPDX-License-Identifier: MIT */
/* build_user.h - the user of a build: its scripts, its git and what naru does with its files are his.
 * Where naru is root, each workspace has a user id of its own out of a range (the group has the same
 * number), nobody's on this machine; it belongs to the workspace as long as that is there, and is read from
 * the owner of <workspace>@home, which is his HOME.  Its @tmp and the workspaces "@2", "@3" of branches are
 * his, too.  decisions/build-users.md has the reasons.
 * As it is naru that works on the build's files, and as root, each step that touches them does it between
 * user_acts() and the end of that scope: the kernel then judges it as the user's doing, so that no symbolic
 * link in a workspace leads naru to where the build could not go itself.  No flow may be switched there
 * (flow_wait()), and what is naru's own (journal, records, artifacts) is not to be had: server_acts().
 * Without a user (naru is not root, a local run, or the operator said so) all of this does nothing. */
#pragma once
#include "base/err.h"
#include "io/process.h"

#define BUILD_USERS_FIRST 66000u /* between the users of the machine and those of its containers */
#define BUILD_USERS_LAST 98999u

struct run;

/* What a build may be and do; builds_config.h reads it. */
struct build_rights {
    char user[33]; /* of this machine, by name; "": one of its own */
    uint32_t first, last; /* the range of those */
    bool docker;  /* it may use Docker, which makes it root of this machine */
    bool network; /* its processes have the machine's network */
};
void build_rights_default(struct build_rights *r, bool is_untrusted);

struct build_user {
    struct identity id;
    const char *name, *home, *passwd;
    const char *git_config; /* what naru's git reads in place of his .gitconfig: that, and more */
    const char *server_home; /* of the user of naru; NULL: not known */
};

/* Is the build to have a user of its own, and can it? */
bool build_user_is_wanted(const struct run *run);
/* Before the first process of the build: finds the user and gives him his folders. False: with an
 * error where there could be a user and is none. */
bool build_user_enter(struct run *run, struct err *err) MUST_CHECK;
/* At the start of naru: workspaces that no build had since there are users are closed to those of others. */
void build_users_begin(const char *data_dir);
/* A folder of the user's; the one above it is naru's. */
bool build_user_folder(struct run *run, const char *path, unsigned mode, struct err *err) MUST_CHECK;
/* Gives him what containers left as root in the workspace. Gives how much there was. */
size_t build_user_take_back(struct run *run);
/* Is this variable ("NAME=value") his, and nothing to a container? */
bool build_user_is_own(const struct run *run, struct str entry);
const char *build_user_docker_refusal(const struct run *run); /* NULL: it may use Docker */
uid_t build_user_uid(const struct run *run); /* ours without one */
gid_t build_user_gid(const struct run *run);
/* A repository of naru's that the build is to read. */
bool build_user_may_read(struct run *run, const char *repository, struct err *err) MUST_CHECK;

struct acting {
    struct run *run;
    bool was;
};
struct acting user_acts(struct run *run);
struct acting server_acts(struct run *run);
void acting_end(struct acting *a);
#define USER_ACTS(run) cleanup(acting_end) struct acting acting_ = user_acts(run)
#define SERVER_ACTS(run) cleanup(acting_end) struct acting acting_ = server_acts(run)
