/* SPDX-License-Identifier: MIT */
/* docker_login.c - registries: a login that lives as long as a block. */
#include <stdio.h>
#include "pipeline/run/credentials.h"
#include "pipeline/steps/docker.h"

#define LOGIN_TIMEOUT_MS ((int64_t)120 * 1000)

struct str
docker_registry_host(struct str url)
{
    ptrdiff_t scheme = str_find(url, STR("://"));
    ptrdiff_t slash;

    if (scheme >= 0)
        url = str_slice(url, (size_t)scheme + 3, url.len);
    slash = str_index(url, '/');
    return slash < 0 ? url : str_slice(url, 0, (size_t)slash);
}

struct login {
    struct str username, password;
};

/* "ecr:REGION:ID": the password is the answer of `aws ecr get-login-password`. */
static bool
login_of_ecr(struct run *run, const struct node *at, struct str id, struct login *out)
{
    cleanup_json struct json *c = NULL;
    struct env_layer *outer = run->env, *layer;
    struct process_result result = {0};
    struct str region, rest = str_slice(id, 4, id.len);
    struct err err;
    bool ok;

    if (!str_split(&rest, ':', &region) || rest.len == 0)
        return interp_throw(&run->in, at, "AbortException",
                            "'" STR_FMT "' is not ecr:REGION:CREDENTIAL", STR_ARG(id));
    c = credential_of_kind(run, at, arena_cstr(&run->arena, rest), "aws");
    if (c == NULL)
        return false;
    credential_mask(run, str_of(json_get_cstr(c, "secretAccessKey", "")));
    layer = run_env_push(run);
    run_env_set(run, layer, STR("AWS_ACCESS_KEY_ID"), str_of(json_get_cstr(c, "accessKeyId", "")));
    run_env_set(run, layer, STR("AWS_SECRET_ACCESS_KEY"),
                str_of(json_get_cstr(c, "secretAccessKey", "")));
    const char *const argv[] = {
        "aws", "ecr", "get-login-password", "--region", arena_cstr(&run->arena, region), NULL};
    const struct process_spec spec = {
        .argv = argv, .env = run_env_list(run), .timeout_ms = LOGIN_TIMEOUT_MS};
    run->env = outer;
    ok = run_process(run, &spec, &result, &err) ||
         interp_throw(&run->in, at, "AbortException", "%s", err.message);
    if (ok && result.exit_code != 0) {
        run_log(run, strbuf_str(&result.error));
        ok = run_poll(&run->in, at) &&
             interp_throw(&run->in, at, "AbortException", "aws ecr get-login-password failed");
    }
    if (ok) {
        out->username = STR("AWS");
        out->password = arena_dup(&run->arena, str_trim(strbuf_str(&result.output)));
    }
    process_result_done(&result);
    return ok;
}

static bool
find_login(struct run *run, const struct node *at, struct str id, struct login *out)
{
    cleanup_json struct json *c = NULL;

    if (str_starts(id, STR("ecr:"))) {
        if (!login_of_ecr(run, at, id, out))
            return false;
    } else {
        c = credential_of_kind(run, at, arena_cstr(&run->arena, id), "password");
        if (c == NULL)
            return false;
        out->username = arena_dup(&run->arena, str_of(json_get_cstr(c, "username", "")));
        out->password = arena_dup(&run->arena, str_of(json_get_cstr(c, "password", "")));
    }
    credential_mask(run, out->password);
    return true;
}

bool
docker_login(struct run *run, const struct node *at, struct env_layer *layer, struct str url,
             struct str id)
{
    const char *folder;
    struct login login;
    struct process_result result = {0};
    struct err err;
    bool ok;

    if (url.len > 0)
        run_env_set(run, layer, STR("DOCKER_REGISTRY_URL"), url);
    if (id.len == 0)
        return true;
    if (run->workspace == NULL)
        return interp_throw(&run->in, at, "AbortException", "a login at a registry needs a node");
    if (!docker_is_granted(run, at))
        return false;
    if (!find_login(run, at, id, &login))
        return false;
    folder = arena_format(&run->arena, "%s@tmp/docker-%u", run->workspace, ++run->files);
    if (!docker_config_make(run, folder, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    run_env_set(run, layer, STR("DOCKER_CONFIG"), str_of(folder));
    run_logf(run, "$ docker login -u " STR_FMT " --password-stdin " STR_FMT,
             STR_ARG(login.username), STR_ARG(docker_registry_host(url)));
    const char *host = arena_cstr(&run->arena, docker_registry_host(url));
    const char *const argv[] = {"docker",
                                "login",
                                "-u",
                                arena_cstr(&run->arena, login.username),
                                "--password-stdin",
                                url.len > 0 ? host : NULL,
                                NULL};
    const struct process_spec spec = {.argv = argv,
                                      .env = run_env_list(run),
                                      .input = login.password,
                                      .timeout_ms = LOGIN_TIMEOUT_MS};
    ok = run_process(run, &spec, &result, &err) ||
         interp_throw(&run->in, at, "AbortException", "%s", err.message);
    if (ok && result.exit_code != 0) {
        run_log(run, strbuf_str(&result.error));
        ok = run_poll(&run->in, at) &&
             interp_throw(&run->in, at, "AbortException", "docker login failed with exit code %d",
                          result.exit_code);
    }
    process_result_done(&result);
    return ok;
}
