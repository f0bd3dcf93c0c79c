/* SPDX-License-Identifier: MIT */
/* Account settings.  Which there are, what they may be and what they are if nobody says anything:
 * the table.  Who signs is the account's root, whose settings are everybody's default, so
 * PutAccountSetting without a principal and PutAccountSettingDefault are the same. */
#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "model/arn.h"

struct setting {
    const char *name, *fallback;
    const char *values[4]; /* none: AWS manages it, nobody can change it */
};

/* Sorted by name. */
static const struct setting settings[] = {
    {"awsvpcTrunking", "disabled", {"enabled", "disabled"}},
    {"containerInsights", "disabled", {"enhanced", "enabled", "disabled"}},
    {"containerInstanceLongArnFormat", "enabled", {"enabled"}},
    {"defaultLogDriverMode", "blocking", {"blocking", "non-blocking"}},
    {"fargateEventWindows", "disabled", {"enabled", "disabled"}},
    {"fargateFIPSMode", "disabled", {"enabled", "disabled"}},
    {"fargateTaskRetirementWaitPeriod", "7", {"0", "7", "14"}},
    {"guardDutyActivate", "off", {NULL}},
    {"serviceLongArnFormat", "enabled", {"enabled"}},
    {"tagResourceAuthorization", "off", {"on", "off"}},
    {"taskLongArnFormat", "enabled", {"enabled"}},
};

static const struct setting *
find_setting(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    }
    return NULL;
}

const char *
ecs_account_setting(const struct request *rq, const char *principal, const char *name)
{
    const struct setting *row = find_setting(name);
    const char *everybodys = core_account_default(rq->core, rq->region, name);
    const struct json *own = core_account_settings(rq->core, rq->region, principal);

    return json_get_cstr(own, name,
                         everybodys != NULL ? everybodys
                         : row != NULL      ? row->fallback
                                            : "");
}

/* ---- the inputs ---- */

/* "principalArn": the root, a user or a role of this account; absent: who signed. */
static bool
read_principal(const struct request *rq, const char **out, struct err *err)
{
    const char *given = json_get_cstr(rq->input, "principalArn", rq->principal);
    struct arn arn;

    if (!arn_parse(str_of(given), &arn) || !str_is(arn.service, "iam"))
        return err_set(err, ERR_INVALID_PARAMETER, "The ARN provided is invalid.");
    if (!str_is(arn.account, rq->account) ||
        !(str_is(arn.resource, "root") || str_starts(arn.resource, STR("user/")) ||
          str_starts(arn.resource, STR("role/"))))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The principalArn must name the root, a user or a role of account %s.",
                       rq->account);
    *out = given;
    return true;
}

static bool
check_value(const struct setting *row, const char *value, struct err *err)
{
    cleanup(strbuf_done) struct strbuf allowed = {0};

    if (row->values[0] == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The account setting %s is managed by AWS and cannot be changed.",
                       row->name);
    for (size_t i = 0; i < ARRAY_COUNT(row->values) && row->values[i] != NULL; i++) {
        if (strcmp(row->values[i], value) == 0)
            return true;
        strbuf_addf(&allowed, "%s%s", i == 0 ? "" : ", ", row->values[i]);
    }
    return err_set(err, ERR_INVALID_PARAMETER,
                   "Invalid value '%.40s' of the account setting %s. Valid values: %s.", value,
                   row->name, strbuf_cstr(&allowed));
}

/* Each principal's settings are kept in memory and in one row. */
static bool
check_quota(const struct request *rq, const char *principal, struct err *err)
{
    int count = 0;

    if (core_account_settings(rq->core, rq->region, principal) != NULL)
        return true;
    for (const struct account *a = rq->core->accounts; a != NULL; a = a->next) {
        if (strcmp(a->region, rq->region) == 0)
            count = (int)json_size(a->settings);
    }
    return count < ACCOUNT_PRINCIPALS_MAX ||
           err_set(err, ERR_CLIENT, "%d principals have settings, the most that are kept.", count);
}

static struct json *
describe(const char *name, const char *value, const char *principal)
{
    const struct setting *row = find_setting(name);
    struct json *o = json_object();

    json_set(o, "name", json_text(name));
    json_set(o, "value", json_text(value));
    json_set(o, "principalArn", json_text(principal));
    json_set(o, "type", json_text(row->values[0] == NULL ? "aws_managed" : "user"));
    return o;
}

/* ---- PutAccountSetting, PutAccountSettingDefault, DeleteAccountSetting ---- */

static void
put(struct request *rq, const char *principal, const char *value, struct json *out)
{
    const char *name = json_get_cstr(rq->input, "name", "");

    request_step(rq, &(struct event){.type = EVENT_ACCOUNT_SETTING_PUT,
                                     .account_setting_put = {.region = rq->region,
                                                             .principal = principal,
                                                             .name = name,
                                                             .value = value}});
    json_set(out, "setting", describe(name, ecs_account_setting(rq, principal, name), principal));
}

/* Both: the default has no principalArn in its input, so it is that of who signed, the root. */
bool
ecs_put_account_setting(struct request *rq, struct json *out, struct err *err)
{
    const struct setting *row = find_setting(json_get_cstr(rq->input, "name", ""));
    const char *value = json_get_cstr(rq->input, "value", "");
    const char *principal;

    if (row == NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "There is no such account setting.");
    if (!read_principal(rq, &principal, err) || !check_value(row, value, err) ||
        !check_quota(rq, principal, err))
        return false;
    put(rq, principal, value, out);
    return true;
}

/* Answers what holds from now on. */
bool
ecs_delete_account_setting(struct request *rq, struct json *out, struct err *err)
{
    const struct setting *row = find_setting(json_get_cstr(rq->input, "name", ""));
    const char *principal;

    if (row == NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "There is no such account setting.");
    if (!read_principal(rq, &principal, err))
        return false;
    put(rq, principal, NULL, out);
    return true;
}

/* ---- ListAccountSettings ---- */

bool
ecs_list_account_settings(struct request *rq, struct json *out, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "name", NULL);
    const char *wanted = json_get_cstr(rq->input, "value", NULL);
    const bool is_effective = json_get_bool(rq->input, "effectiveSettings", false);
    cleanup(ecs_page_done) struct ecs_page page = {0};
    const struct json *own;
    const char *principal;

    if (!read_principal(rq, &principal, err))
        return false;
    if (wanted != NULL && name == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "A value can only be asked for together with the name of its setting.");
    own = core_account_settings(rq->core, rq->region, principal);
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        const char *key = settings[i].name;
        const char *value =
            is_effective ? ecs_account_setting(rq, principal, key) : json_get_cstr(own, key, NULL);

        if (value != NULL && (name == NULL || strcmp(name, key) == 0) &&
            (wanted == NULL || strcmp(wanted, value) == 0))
            ecs_page_add(&page, describe(key, value, principal), "%s", key);
    }
    return ecs_page_write(&page, rq, "settings", 10, false, out, err);
}
