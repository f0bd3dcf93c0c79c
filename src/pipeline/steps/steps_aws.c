/* SPDX-License-Identifier: MIT */
/* steps_aws.c - withAWS, ecrLogin and awsIdentity, as the plugin "AWS Steps" has them. What they ask AWS they ask by the
 * command `aws` as a script would: of the endpoint, with the keys and the region of the environment. */
#include <ctype.h>
#include <stdio.h>
#include "base/json.h"
#include "model/image_ref.h"
#include "pipeline/run/credentials.h"

#define SESSION_NAME_MAX 64
#define ARGUMENTS_MAX 20

/* ---- the command ---- */

/* NULL: it has thrown. */
static struct json *
call_aws(struct step_call *s, const char *const *argv)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err;

    if (!step_call_program(s, argv, /* is_daemon= */ false, &out))
        return NULL;
    struct json *answer = json_parse(strbuf_str(&out), &err);
    if (answer == NULL)
        (void)step_fail(s, "%s %s answered no JSON", argv[1], argv[2]);
    return answer;
}

static struct json *
ask_identity(struct step_call *s)
{
    static const char *const argv[] = {"aws", "sts", "get-caller-identity", "--output", "json", NULL};

    return call_aws(s, argv);
}

/* ---- roles ---- */

/* Jenkins-<job>-<number>, of letters that STS takes. */
static const char *
session_name(struct step_call *s)
{
    const struct runner_config *c = s->run->config;
    const char *number = arena_format(&s->run->arena, "%lld", (long long)c->number);
    const int room = SESSION_NAME_MAX - (int)(sizeof("Jenkins--") - 1) - (int)strlen(number);
    struct strbuf job = {0};

    for (const char *p = c->job_name; *p != '\0'; p++)
        if (*p != ' ')
            strbuf_add_char(&job, isalnum((unsigned char)*p) || strchr("_+=,.@-", *p) != NULL ? *p : '-');
    const char *name = arena_format(&s->run->arena, "Jenkins-%.*s-%s", room, strbuf_cstr(&job), number);
    strbuf_done(&job);
    return name;
}

/* `account` may be empty: that of the keys. */
static bool
role_arn(struct step_call *s, struct str role, struct str account, const char **out)
{
    struct arena *a = &s->run->arena;

    if (str_starts(role, STR("arn:"))) {
        *out = arena_cstr(a, role);
        return true;
    }
    cleanup_json struct json *identity = account.len == 0 ? ask_identity(s) : NULL;
    if (account.len == 0 && identity == NULL)
        return false;
    if (account.len == 0)
        account = str_of(json_get_cstr(identity, "Account", ""));
    *out = arena_format(a, "arn:aws:iam::" STR_FMT ":role/" STR_FMT, STR_ARG(account), STR_ARG(role));
    return true;
}

static bool
set_session(struct step_call *s, struct env_layer *layer, const struct aws_role *role, const struct json *credentials)
{
    const struct str id = str_of(json_get_cstr(credentials, "AccessKeyId", "")),
                     secret = str_of(json_get_cstr(credentials, "SecretAccessKey", "")),
                     token = str_of(json_get_cstr(credentials, "SessionToken", ""));

    if (id.len == 0 || secret.len == 0 || token.len == 0)
        return step_fail(s, "aws sts assume-role answered without credentials");
    credential_mask(s->run, secret);
    credential_mask(s->run, token);
    run_env_set(s->run, layer, str_of(role->key_variable), id);
    run_env_set(s->run, layer, str_of(role->secret_variable), secret);
    run_env_set(s->run, layer, STR("AWS_SESSION_TOKEN"), token);
    return true;
}

bool
aws_assume_role(struct step_call *s, struct env_layer *layer, const struct aws_role *role)
{
    struct arena *a = &s->run->arena;
    const char *arn, *argv[ARGUMENTS_MAX] = {"aws", "sts", "assume-role", "--output", "json"};
    int n = 5;

    run_logf(s->run, "Requesting assume role");
    if (!role_arn(s, role->role, role->account, &arn))
        return false;
    run_logf(s->run, "Assuming role ARN is %s", arn);
    argv[n++] = "--role-arn";
    argv[n++] = arn;
    argv[n++] = "--role-session-name";
    argv[n++] = role->session_name.len > 0 ? arena_cstr(a, role->session_name) : session_name(s);
    if (role->external_id.len > 0) {
        argv[n++] = "--external-id";
        argv[n++] = arena_cstr(a, role->external_id);
    }
    if (role->seconds > 0) {
        argv[n++] = "--duration-seconds";
        argv[n++] = arena_format(a, "%lld", (long long)role->seconds);
    }
    cleanup_json struct json *answer = call_aws(s, argv);
    if (answer == NULL || !set_session(s, layer, role, json_get(answer, "Credentials")))
        return false;
    run_logf(s->run, "Assumed role %s with id %s", arn,
             json_get_cstr(json_get(answer, "AssumedRoleUser"), "AssumedRoleId", ""));
    return true;
}

/* ---- withAWS ---- */

static void
set(struct step_call *s, struct env_layer *layer, const char *name, struct str value)
{
    if (value.len > 0)
        run_env_set(s->run, layer, str_of(name), value);
}

static bool
set_credentials(struct step_call *s, struct env_layer *layer, const char *id)
{
    cleanup_json struct json *c = credential_of_kind(s->run, s->at, id, "aws password");
    bool is_aws;

    if (c == NULL)
        return false;
    is_aws = strcmp(json_get_cstr(c, "kind", ""), "aws") == 0;
    struct str key = str_of(json_get_cstr(c, is_aws ? "accessKeyId" : "username", ""));
    struct str secret = str_of(json_get_cstr(c, is_aws ? "secretAccessKey" : "password", ""));
    credential_mask(s->run, secret);
    set(s, layer, "AWS_ACCESS_KEY_ID", key);
    set(s, layer, "AWS_SECRET_ACCESS_KEY", secret);
    run_env_set(s->run, layer, STR("AWS_SESSION_TOKEN"), STR("")); /* a role's around it goes with other keys */
    return true;
}

static bool
set_role(struct step_call *s, struct env_layer *layer)
{
    const struct aws_role role = {
        .role = step_text(s, "role", ""),
        .account = step_text(s, "roleAccount", ""),
        .session_name = step_text(s, "roleSessionName", ""),
        .external_id = step_text(s, "externalId", ""),
        .seconds = step_int(s, "duration", 0),
        .key_variable = "AWS_ACCESS_KEY_ID",
        .secret_variable = "AWS_SECRET_ACCESS_KEY",
    };

    return role.role.len == 0 || aws_assume_role(s, layer, &role);
}

static bool
step_with_aws(struct step_call *s)
{
    static const char *const refused[] = {"principalArn", "samlAssertion", "federatedUserId", "iamMfaToken", "policy"};
    struct env_layer *outer = s->run->env, *layer;
    struct str credentials = step_text(s, "credentials", "");

    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        if (step_text(s, refused[i], "").len > 0)
            return step_fail(s, "withAWS: '%s' is not supported; 'role' is", refused[i]);
    layer = run_env_push(s->run);
    set(s, layer, "AWS_DEFAULT_REGION", step_text(s, "region", ""));
    set(s, layer, "AWS_REGION", step_text(s, "region", ""));
    set(s, layer, "AWS_PROFILE", step_text(s, "profile", ""));
    set(s, layer, "AWS_DEFAULT_PROFILE", step_text(s, "profile", ""));
    set(s, layer, "AWS_ENDPOINT_URL", step_text(s, "endpointUrl", ""));
    const bool ok =
        (credentials.len == 0 || set_credentials(s, layer, arena_cstr(&s->run->arena, credentials))) &&
        set_role(s, layer) && s->body.run(s->run, s->body.arg, s->out);
    s->run->env = outer;
    return ok;
}

/* ---- the others ---- */

static bool
step_aws_identity(struct step_call *s)
{
    cleanup_json struct json *identity = ask_identity(s);
    struct arena *a = &s->run->arena;
    static const char *const names[][2] = {{"account", "Account"}, {"user", "UserId"}, {"arn", "Arn"}};

    if (identity == NULL)
        return false;
    *s->out = value_map(a);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *text = arena_cstr(a, str_of(json_get_cstr(identity, names[i][1], "")));
        run_logf(s->run, "Current AWS %s: %s", names[i][0], text);
        map_put_text(a, s->out->map, names[i][0], value_text(str_of(text)));
    }
    return true;
}

/* The command itself, to be given to `sh`: it carries no password. */
static bool
step_ecr_login(struct step_call *s)
{
    struct value region = value_null(), account = value_null();
    bool found;

    if (!run_env_get(s->run, STR("AWS_REGION"), &region, &found) ||
        (!found && !run_env_get(s->run, STR("AWS_DEFAULT_REGION"), &region, &found)))
        return false;
    if (!found)
        return step_fail(s, "ecrLogin needs a region: withAWS(region: '...')");
    if (!run_env_get(s->run, STR("AWS_ACCOUNT_ID"), &account, &found))
        return false;
    struct str id = found ? value_to_text(&s->run->arena, account) : STR("000000000000");
    struct str r = value_to_text(&s->run->arena, region);
    cleanup_free char *host = image_ref_ecr_host_of(id, r);
    *s->out = value_cstr(&s->run->arena,
                         arena_format(&s->run->arena,
                                      "aws ecr get-login-password --region " STR_FMT
                                      " | docker login --username AWS --password-stdin %s",
                                      STR_ARG(r), host));
    return true;
}

step_function *
step_aws_find(struct str name)
{
    static const struct step_row table[] = {
        {"withAWS", step_with_aws},
        {"ecrLogin", step_ecr_login},
        {"awsIdentity", step_aws_identity},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
