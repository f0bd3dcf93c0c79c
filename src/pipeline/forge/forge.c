/* SPDX-License-Identifier: MIT */
#include "pipeline/forge/forge.h"

#include <stdio.h>
#include "base/crypto.h"
#include "pipeline/build.h"

bool
forge_is_authentic(enum forge forge, struct str secret, struct str body, struct str signature)
{
    unsigned char mac[SHA256_LEN];
    char hex[SHA256_HEX + 1];

    if (secret.len == 0)
        return false;
    if (forge == FORGE_GITHUB)
        return github_signature_is_valid(secret, body, signature);
    if (forge == FORGE_GITLAB)
        return crypto_equal(secret, signature);
    hmac_sha256(secret, body, mac);
    hex_encode(mac, sizeof(mac), hex);
    return crypto_equal(signature, str_of(hex));
}

static bool
ignore(struct forge_event *e, const char *why)
{
    e->what = FORGE_NOTHING;
    e->ignored = why;
    return true;
}

static bool
bad(struct err *err, const char *what)
{
    return err_set(err, ERR_BAD_REQUEST, "%s", what);
}

static bool
take_repository(struct forge_event *e, const char *name, struct err *err)
{
    return text_copy(e->push.repository, sizeof(e->push.repository), str_of(name)) &&
                   name[0] != '\0'
               ? true
               : bad(err, "the payload names no repository");
}

static bool
take_commit(char to[static 41], const char *from, struct err *err)
{
    return build_commit_is_valid(str_of(from)) && text_copy(to, 41, str_of(from))
               ? true
               : bad(err, "the payload's commit is not a commit id");
}

/* "refs/tags/v1" becomes the job v1. */
static bool
take_tag(struct forge_event *e, const char *ref, const char *commit, struct err *err)
{
    struct str name = str_slice(str_of(ref), 10, strlen(ref));

    if (!build_branch_is_valid(name) || !text_copy(e->push.branch, sizeof(e->push.branch), name) ||
        !text_copy(e->ref, sizeof(e->ref), str_of(ref)))
        return bad(err, "the tag is not a valid name");
    e->what = FORGE_BUILD;
    return take_commit(e->push.commit, commit, err);
}

/* A push of GitHub's shape; Gitea has it, too, and GitLab's is brought to it. */
static bool
parse_push(struct forge_event *e, const struct json *j, struct err *err)
{
    const char *ref = json_get_cstr(j, "ref", "");
    cleanup_free char *text = json_format(j);

    if (!github_push_parse(str_of(text), &e->push, err))
        return false;
    if (e->push.repository[0] == '\0')
        return bad(err, "the payload names no repository");
    if (e->push.is_branch && !e->push.is_deleted) {
        e->what = FORGE_BUILD;
        return true;
    }
    if (!e->push.is_branch && str_starts(str_of(ref), STR("refs/tags/")) && !e->push.is_deleted)
        return take_tag(e, ref, json_get_cstr(j, "after", ""), err);
    if (!e->push.is_branch)
        return ignore(e, "ignored: the tag was deleted, or it is no branch and no tag");
    if (!build_branch_is_valid(str_of(ref + 11)) ||
        !text_copy(e->push.branch, sizeof(e->push.branch), str_of(ref + 11)))
        return bad(err, "the branch of the push is not a valid name");
    e->what = FORGE_GONE;
    return true;
}

static void
set(struct json *to, const char *key, const char *value)
{
    if (value[0] != '\0')
        json_set(to, key, json_text(value));
}

static bool
take_change(struct forge_event *e, const char *prefix, int64_t id, struct err *err)
{
    char text[32];

    if (id <= 0)
        return bad(err, "the change has no number");
    snprintf(text, sizeof(text), "%lld", (long long)id);
    snprintf(e->push.branch, sizeof(e->push.branch), "%s-%lld", prefix, (long long)id);
    e->change = json_object();
    json_set(e->change, "id", json_text(text));
    return true;
}

/* What is built of a change whose words are known: as a push by its author. */
static bool
take_head(struct forge_event *e, const char *from, const char *sha, struct err *err)
{
    if (e->is_fork)
        set(e->change, "fork", from);
    github_copy_line(e->push.author, sizeof(e->push.author),
                     json_get_cstr(e->change, "author", ""));
    github_copy_line(e->push.message, sizeof(e->push.message),
                     json_get_cstr(e->change, "title", ""));
    return take_commit(e->head, sha, err) && take_commit(e->push.commit, e->head, err);
}

/* pull_request of GitHub and Gitea. */
static bool
parse_pull_request(enum forge forge, struct forge_event *e, const struct json *j, struct err *err)
{
    const char *action = json_get_cstr(j, "action", "");
    const struct json *pr = json_get(j, "pull_request");
    const struct json *head = json_get(pr, "head"), *base = json_get(pr, "base");
    const char *own = json_get_cstr(json_get(j, "repository"), "full_name", "");
    const char *other = json_get_cstr(json_get(head, "repo"), "full_name", "");
    int64_t number = json_get_i64(pr, "number", json_get_i64(j, "number", 0));
    bool starts = strcmp(action, "opened") == 0 || strcmp(action, "reopened") == 0 ||
                  strncmp(action, "synchronize", 11) == 0;

    if (!starts && strcmp(action, "closed") != 0)
        return ignore(e, "ignored: this action starts no build");
    if (!take_repository(e, own, err) || !take_change(e, "PR", number, err))
        return false;
    if (!starts) {
        e->what = FORGE_GONE;
        return true;
    }
    e->what = FORGE_BUILD;
    e->is_fork = strcmp(own, other) != 0;
    snprintf(e->ref, sizeof(e->ref), "refs/pull/%lld/%s", (long long)number,
             forge == FORGE_GITHUB ? "merge" : "head");
    set(e->change, "url", json_get_cstr(pr, "html_url", ""));
    set(e->change, "title", json_get_cstr(pr, "title", ""));
    set(e->change, "author", json_get_cstr(json_get(pr, "user"), "login", ""));
    set(e->change, "target", json_get_cstr(base, "ref", ""));
    set(e->change, "branch", json_get_cstr(head, "ref", ""));
    return take_head(e, other, json_get_cstr(head, "sha", ""), err);
}

/* GitLab's push in GitHub's words. */
static bool
parse_gitlab_push(struct forge_event *e, const struct json *j, struct err *err)
{
    cleanup_json struct json *as_github = json_object();
    struct json *repository = json_object();
    const struct json *commits = json_get(j, "commits");
    const char *sha = json_get_cstr(j, "checkout_sha", NULL);

    json_set(repository, "full_name",
             json_text(json_get_cstr(json_get(j, "project"), "path_with_namespace", "")));
    json_set(as_github, "repository", repository);
    json_set(as_github, "ref", json_text(json_get_cstr(j, "ref", "")));
    json_set(as_github, "before", json_text(json_get_cstr(j, "before", "")));
    /* Of an annotated tag `after` is the tag itself, not the commit. */
    json_set(as_github, "after", json_text(sha != NULL ? sha : json_get_cstr(j, "after", "")));
    if (json_size(commits) > 0)
        json_set(as_github, "head_commit", json_ref(json_at(commits, json_size(commits) - 1)));
    if (commits != NULL)
        json_set(as_github, "commits", json_ref(commits));
    return parse_push(e, as_github, err);
}

static bool
parse_merge_request(struct forge_event *e, const struct json *j, struct err *err)
{
    const struct json *mr = json_get(j, "object_attributes");
    const char *action = json_get_cstr(mr, "action", "");
    const char *own = json_get_cstr(json_get(j, "project"), "path_with_namespace", "");
    /* Who does not say where it comes from is a stranger. */
    const char *other = json_get_cstr(json_get(mr, "source"), "path_with_namespace", "");
    const char *sha = json_get_cstr(json_get(mr, "last_commit"), "id", "");
    int64_t number = json_get_i64(mr, "iid", 0);
    bool ends = strcmp(action, "close") == 0 || strcmp(action, "merge") == 0;
    /* `update` is any edit; only one with an `oldrev` has new commits. */
    bool starts = strcmp(action, "open") == 0 || strcmp(action, "reopen") == 0 ||
                  (strcmp(action, "update") == 0 && json_get(mr, "oldrev") != NULL);

    if (!starts && !ends)
        return ignore(e, "ignored: this action starts no build");
    if (!take_repository(e, own, err) || !take_change(e, "MR", number, err))
        return false;
    e->what = ends ? FORGE_GONE : FORGE_BUILD;
    if (ends)
        return true;
    e->is_fork = strcmp(own, other) != 0;
    snprintf(e->ref, sizeof(e->ref), "refs/merge-requests/%lld/merge", (long long)number);
    set(e->change, "url", json_get_cstr(mr, "url", ""));
    set(e->change, "title", json_get_cstr(mr, "title", ""));
    set(e->change, "author", json_get_cstr(json_get(j, "user"), "username", ""));
    set(e->change, "target", json_get_cstr(mr, "target_branch", ""));
    set(e->change, "branch", json_get_cstr(mr, "source_branch", ""));
    return take_head(e, other, sha, err);
}

static bool
parse(enum forge forge, struct str event, struct forge_event *e, const struct json *j,
      struct err *err)
{
    if (forge == FORGE_GITLAB) {
        if (str_is(event, "Push Hook") || str_is(event, "Tag Push Hook"))
            return parse_gitlab_push(e, j, err);
        if (str_is(event, "Merge Request Hook"))
            return parse_merge_request(e, j, err);
        return ignore(e, "ignored: this event starts no build");
    }
    if (str_is(event, "push"))
        return parse_push(e, j, err);
    if (str_is(event, "pull_request") || str_is(event, "pull_request_sync"))
        return parse_pull_request(forge, e, j, err);
    if (str_is(event, "create") || str_is(event, "delete") || str_is(event, "release"))
        return ignore(e, "ignored: the push of the ref tells");
    return ignore(e, "ignored: this event starts no build");
}

bool
forge_event_parse(enum forge forge, struct str event, struct str body, struct forge_event *out,
                  struct err *err)
{
    cleanup_json struct json *j = NULL;

    *out = (struct forge_event){0};
    if (forge == FORGE_GITHUB && str_is(event, "ping"))
        return ignore(out, "pong");
    j = json_parse(body, err);
    if (j == NULL || json_type(j) != JSON_OBJECT) {
        if (j != NULL)
            bad(err, "the payload is not a JSON object");
        err->code = ERR_BAD_REQUEST;
        return false;
    }
    if (parse(forge, event, out, j, err))
        return true;
    err->code = ERR_BAD_REQUEST;
    forge_event_done(out);
    return false;
}

void
forge_event_done(struct forge_event *e)
{
    github_push_done(&e->push);
    json_unref(e->change);
    e->change = NULL;
}
