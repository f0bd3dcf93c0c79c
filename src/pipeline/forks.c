/* SPDX-License-Identifier: MIT */
#include "pipeline/forks.h"

enum fork_trust
room_fork_trust(struct pipeline_room *room, const char *pipeline, const char *author)
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
            trust = author[0] != '\0' && json_has_text(json_get(p->forks, "trusted"), author)
                        ? FORK_TRUSTED
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

    while (str_split(&rest, ',', &one) && json_size(names) < FORKS_TRUSTED_MAX)
        if (str_trim(one).len > 0)
            json_append(names, json_str(str_trim(one)));
    return names;
}

bool
room_set_forks(struct pipeline_room *room, const char *pipeline, const char *policy,
               const char *trusted, struct err *err)
{
    struct pipeline *p;
    bool ok;

    if (strcmp(policy, "none") != 0 && strcmp(policy, "target") != 0 &&
        strcmp(policy, "everyone") != 0)
        return err_set(err, ERR_VALIDATION,
                       "'%.50s' is no policy for forks: there are none, target and everyone", policy);
    room_lock(room);
    p = pipeline_store_find(&room->store, pipeline);
    ok = p != NULL || err_set(err, ERR_NOT_FOUND, "there is no pipeline '%s'", pipeline);
    if (ok) {
        json_unref(p->forks);
        p->forks = json_object();
        json_set(p->forks, "build", json_text(policy));
        json_set(p->forks, "trusted", names_of(trusted));
        ok = pipeline_store_save(&room->store, p, err);
    }
    room_unlock(room);
    return ok;
}

bool
build_is_untrusted(const struct build *b)
{
    return json_get_bool(b->change, "untrusted", false);
}
