/* SPDX-License-Identifier: MIT */
#include "hooks/hook_answer.h"
#include "base/json.h"

static bool
read_status(const struct json *answer, enum hook_outcome *out, struct err *err)
{
    const struct json *status = json_get(answer, "hookStatus");
    const char *text = json_cstr(status, "");

    if (status == NULL)
        return err_set(err, ERR_SERIALIZATION, "hookStatus is missing");
    if (json_type(status) != JSON_TEXT || !hook_outcome_parse(str_of(text), out) ||
        *out == OUTCOME_UNREACHED)
        return err_set(err, ERR_SERIALIZATION,
                       "hookStatus is none of SUCCEEDED, FAILED, IN_PROGRESS");
    return true;
}

/* null is absent, as everywhere in the API. */
static bool
read_delay(const struct json *answer, int *out, struct err *err)
{
    const struct json *delay = json_get(answer, "callBackDelay");
    const int64_t seconds = json_get_i64(answer, "callBackDelay", HOOK_DELAY_DEFAULT_S);

    if (delay != NULL && json_type(delay) != JSON_INT && json_type(delay) != JSON_NULL)
        return err_set(err, ERR_SERIALIZATION, "callBackDelay is not a whole number of seconds");
    if (seconds < 0 || seconds > HOOK_DELAY_MAX_S)
        return err_set(err, ERR_SERIALIZATION, "callBackDelay is not between 0 and %d",
                       HOOK_DELAY_MAX_S);
    *out = seconds < 1 ? 1 : (int)seconds; /* 0 would be a hot loop */
    return true;
}

static bool
check_details(const struct json *answer, struct err *err)
{
    const struct json *details = json_get(answer, "hookDetails");

    return details == NULL || json_type(details) == JSON_OBJECT ||
           json_type(details) == JSON_NULL ||
           err_set(err, ERR_SERIALIZATION, "hookDetails is not an object");
}

bool
hook_answer_parse(struct str body, struct hook_answer *out, struct err *err)
{
    cleanup_json struct json *answer = NULL;
    struct hook_answer a = {0};

    if (body.len > HOOK_ANSWER_MAX)
        return err_set(err, ERR_SERIALIZATION, "it is longer than %d bytes", HOOK_ANSWER_MAX);
    answer = json_parse(body, err);
    if (answer == NULL)
        return err_set(err, ERR_SERIALIZATION, "it is not JSON");
    if (json_type(answer) != JSON_OBJECT)
        return err_set(err, ERR_SERIALIZATION, "it is not a JSON object");
    if (!read_status(answer, &a.outcome, err) || !read_delay(answer, &a.delay_s, err) ||
        !check_details(answer, err))
        return false;
    if (a.outcome != OUTCOME_IN_PROGRESS)
        a.delay_s = 0;
    *out = a;
    return true;
}
