/* SPDX-License-Identifier: MIT */
#include "model/hook_target.h"
#include <ctype.h>

bool
hook_command_name_is_valid(struct str name)
{
    if (name.len == 0 || name.len > HOOK_COMMAND_MAX || !isalnum((unsigned char)name.at[0]))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        const unsigned char c = (unsigned char)name.at[i];
        if (c > 126 || (!isalnum(c) && c != '.' && c != '_' && c != '-'))
            return false;
    }
    return true;
}

/* Who may be called is the operator's choice; here it is only seen that there is a host, and
 * nothing that could break the request apart.  A password in it would be shown by every Describe
 * call. */
static bool
read_url(const char *url, struct err *err)
{
    const char *host = strstr(url, "://") + 3;
    const size_t len = strcspn(host, "/?#");

    for (const char *p = url; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~')
            return err_set(
                err, ERR_INVALID_PARAMETER,
                "hookTargetArn is no URL: blanks and others than ASCII have to be escaped.");
    }
    if (memchr(host, '@', len) != NULL)
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "A hookTargetArn can not hold a user or a password: everybody who describes the "
            "service would see it.");
    if (len == 0 || host[0] == ':')
        return err_set(err, ERR_INVALID_PARAMETER, "hookTargetArn %.200s names no host.", url);
    return true;
}

static bool
read_command(const char *target, struct err *err)
{
    return hook_command_name_is_valid(str_of(target + strlen(HOOK_COMMAND_PREFIX))) ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "hookTargetArn %.200s: the name of a command has 1 to %d letters, digits, '.', "
                   "'_' and "
                   "'-', and begins with a letter or a digit.",
                   target, HOOK_COMMAND_MAX);
}

bool
hook_target_read(const char *target, enum hook_kind *out, struct err *err)
{
    const struct str text = str_of(target);

    if (text.len > HOOK_TARGET_MAX)
        return err_set(err, ERR_INVALID_PARAMETER, "hookTargetArn is longer than %d characters.",
                       HOOK_TARGET_MAX);
    if (str_starts(text, STR("http://")) || str_starts(text, STR("https://"))) {
        *out = HOOK_KIND_URL;
        return read_url(target, err);
    }
    if (str_starts(text, STR(HOOK_COMMAND_PREFIX))) {
        *out = HOOK_KIND_COMMAND;
        return read_command(target, err);
    }
    if (str_starts(text, STR("arn:aws:ecs:")) && strstr(target, ":task-definition/") != NULL) {
        *out = HOOK_KIND_TASK;
        return true;
    }
    if (str_starts(text, STR("arn:")) && strstr(target, ":lambda:") != NULL)
        return err_set(
            err, ERR_UNSUPPORTED_FEATURE,
            "hookTargetArn %.200s: naru runs no Lambda functions. Name an http:// or https:// "
            "URL that answers as the function does, naru:command/<name>, or the ARN of a task "
            "definition.",
            target);
    return err_set(
        err, ERR_INVALID_PARAMETER,
        "hookTargetArn %.200s is no http:// or https:// URL, no naru:command/<name> and no ARN "
        "of a task definition.",
        target);
}
