/* SPDX-License-Identifier: MIT */
#include "pipeline/forks.h"

/* GitLab says "author" of who opened a merge request again or pushed to it, which may be a maintainer
 * who did so for a stranger; GitHub lets anybody open a pull request from anybody's fork. */
static bool
is_trusted(const struct json *names, const char *author, const char *fork)
{
    const char *slash = strrchr(fork, '/');
    cleanup_free char *owner = str_dup(str_range(fork, slash == NULL ? fork : slash));

    return author[0] != '\0' && owner[0] != '\0' && json_has_text(names, author) &&
           (str_equal_nocase(str_of(owner), str_of(author)) || json_has_text(names, owner));
}

enum fork_trust
room_fork_trust(struct pipeline_room *room, const char *pipeline, const char *author,
                const char *fork)
{
    enum fork_trust trust = FORK_REFUSED;
    const struct pipeline *p;

    room_lock(room);
    p = pipeline_store_find(&room->store, pipeline);
    if (p != NULL && p->forks != NULL) {
        const char *policy = json_get_cstr(p->forks, "build", "none");
        if (strcmp(policy, "everyone") == 0)
            trust = FORK_TRUSTED;
        else if (strcmp(policy, "target") == 0)
            trust = is_trusted(json_get(p->forks, "trusted"), author, fork) ? FORK_TRUSTED
                                                                            : FORK_UNTRUSTED;
    }
    room_unlock(room);
    return trust;
}

static struct json *
names_of(const char *text)
{
    struct json *names = json_array();
    struct str rest = str_of(text), one;

    while (str_split(&rest, ',', &one))
        if (str_trim(one).len > 0)
            json_append(names, json_str(str_trim(one)));
    return names;
}

bool
fork_policy_check(const char *policy, const char *trusted, struct err *err)
{
    cleanup_json struct json *names = names_of(trusted);

    if (policy == NULL)
        return trusted == NULL || err_set(err, ERR_VALIDATION, "'trusted' needs a policy for forks");
    if (json_size(names) > FORKS_TRUSTED_MAX)
        return err_set(err, ERR_VALIDATION, "at most %u users are trusted", FORKS_TRUSTED_MAX);
    return strcmp(policy, "none") == 0 || strcmp(policy, "target") == 0 ||
           strcmp(policy, "everyone") == 0 ||
           err_set(err, ERR_VALIDATION,
                   "'%.50s' is no policy for forks: there are none, target and everyone", policy);
}

struct json *
fork_policy_json(const char *policy, const char *trusted)
{
    struct json *j = policy == NULL ? NULL : json_object();

    if (j != NULL) {
        json_set(j, "build", json_text(policy));
        json_set(j, "trusted", names_of(trusted));
    }
    return j;
}

bool
room_set_forks(struct pipeline_room *room, const char *pipeline, const char *policy,
               const char *trusted, struct err *err)
{
    struct pipeline *p;
    bool ok;

    if (!fork_policy_check(policy, trusted, err))
        return false;
    room_lock(room);
    p = pipeline_store_find(&room->store, pipeline);
    ok = p != NULL || err_set(err, ERR_NOT_FOUND, "there is no pipeline '%s'", pipeline);
    if (ok) {
        struct json *before = p->forks;
        p->forks = fork_policy_json(policy, trusted);
        ok = pipeline_store_save(&room->store, p, err);
        if (!ok) {
            struct json *refused = p->forks;
            p->forks = before;
            before = refused;
        }
        json_unref(before);
    }
    room_unlock(room);
    return ok;
}

bool
build_is_untrusted(const struct build *b)
{
    return json_get_bool(b->change, "untrusted", false);
}
