/* SPDX-License-Identifier: MIT */
#include "core/account.h"
#include <assert.h>
#include <stdio.h>

struct account *
account_of(const struct core *core, const char *region)
{
    for (struct account *a = core->accounts; a != NULL; a = a->next) {
        if (strcmp(a->region, region) == 0)
            return a;
    }
    return NULL;
}

const struct json *
core_account_settings(const struct core *core, const char *region, const char *principal)
{
    const struct account *a = account_of(core, region);

    return a == NULL ? NULL : json_get(a->settings, principal);
}

const char *
core_account_default(const struct core *core, const char *region, const char *name)
{
    char root[64];

    snprintf(root, sizeof(root), "arn:aws:iam::%s:root", core->options.account);
    return json_get_cstr(core_account_settings(core, region, root), name, NULL);
}

static struct account *
add_account(struct core *core, const char *region)
{
    struct account *a = mem_new(sizeof(*a));

    text_copy_all(a->region, sizeof(a->region), region);
    a->settings = json_object();
    a->next = core->accounts;
    core->accounts = a;
    return a;
}

void
account_setting_put(struct core *core, const struct ev_account_setting_put *ev)
{
    struct account *a = account_of(core, ev->region);
    const struct json *before = a == NULL ? NULL : json_get(a->settings, ev->principal);
    struct json *now;

    if (ev->value == NULL && json_get(before, ev->name) == NULL)
        return;
    if (a == NULL)
        a = add_account(core, ev->region);
    now = before == NULL ? json_object() : json_copy(before); /* answers may share the old one */
    if (ev->value == NULL)
        json_delete(now, ev->name);
    else
        json_set(now, ev->name, json_text(ev->value));
    if (json_size(now) > 0) {
        json_set(a->settings, ev->principal, now);
    } else {
        json_delete(a->settings, ev->principal);
        json_unref(now);
    }
    assert(json_size(a->settings) <= ACCOUNT_PRINCIPALS_MAX);
    core_touch(core, ROW_ACCOUNT, a->region);
}

bool
account_load(struct core *core, const struct json *row, struct err *err)
{
    struct account *a = account_decode(row, err);

    if (a == NULL)
        return false;
    a->next = core->accounts;
    core->accounts = a;
    return true;
}
