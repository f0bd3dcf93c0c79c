/* SPDX-License-Identifier: MIT */
/* docker_dsl.c - the `docker` object: images, containers, registries.  What it does, it does by the
 * step `sh`, as Jenkins: the log shows the command, and the build can be taken up behind it. */
#include <ctype.h>
#include <stdio.h>
#include "pipeline/run/credentials.h"
#include "pipeline/steps/docker.h"

struct docker_call {
    struct run *run;
    const struct node *at;
    struct str name;
    const struct args *args;
    size_t count;          /* of arguments without the block */
    struct closure *block; /* NULL: none */
    struct value *out;
};

/* What HOST_DOCKER_IMAGE and HOST_DOCKER_CONTAINER point to. */
struct docker_thing {
    struct str id;
};

static struct value
thing(struct run *run, enum host kind, struct str id)
{
    struct docker_thing *t = arena_alloc(&run->arena, sizeof(*t));
    struct value v = value_host(kind);

    t->id = arena_dup(&run->arena, id);
    v.data = t;
    return v;
}

static struct str
argument(const struct docker_call *c, size_t i, const char *fallback)
{
    if (i >= c->count || c->args->at[i].type == V_NULL)
        return str_of(fallback);
    return value_to_text(&c->run->arena, c->args->at[i]);
}

static bool
fail(const struct docker_call *c, const char *what)
{
    return interp_throw(&c->run->in, c->at, "IllegalArgumentException", "%s", what);
}

static bool
needs_block(const struct docker_call *c)
{
    return c->block != NULL ||
           interp_throw(&c->run->in, c->at, "IllegalArgumentException",
                        "'" STR_FMT "' needs a block in braces", STR_ARG(c->name));
}

/* In double quotes of a shell, so nothing that ends or expands there. */
static bool
check_name(const struct docker_call *c, struct str name)
{
    bool ok = name.len > 0 && name.len < 500 && isalnum((unsigned char)name.at[0]);

    for (size_t i = 0; i < name.len && ok; i++)
        ok = isalnum((unsigned char)name.at[i]) || strchr("._-/:@", name.at[i]) != NULL;
    return ok || interp_throw(&c->run->in, c->at, "AbortException",
                              "'" STR_FMT "' is not the name of an image", STR_ARG(name));
}

static bool
shell(const struct docker_call *c, const char *script, const char *option, struct value *out)
{
    struct value named = value_map(&c->run->arena);

    if (!docker_is_granted(c->run, c->at))
        return false;
    map_put_text(&c->run->arena, named.map, "script", value_cstr(&c->run->arena, script));
    if (option != NULL)
        map_put_text(&c->run->arena, named.map, option, value_bool(true));
    c->run->uses_docker = true;
    return step_invoke(c->run, c->at, "sh", named.map, NULL, out);
}

#define SHELL(c, ...) \
    shell(c, arena_format(&(c)->run->arena, __VA_ARGS__), NULL, &(struct value){0})

struct str
docker_image_name(struct run *run, struct str name)
{
    struct value url;
    struct str host;
    bool found;

    if (!run_env_get(run, STR("DOCKER_REGISTRY_URL"), &url, &found) || !found)
        return name;
    host = docker_registry_host(value_to_text(&run->arena, url));
    if (host.len == 0 ||
        (str_starts(name, host) && name.len > host.len && name.at[host.len] == '/'))
        return name;
    return str_of(arena_format(&run->arena, STR_FMT "/" STR_FMT, STR_ARG(host), STR_ARG(name)));
}

/* "host:5000/repo:tag" is "host:5000/repo" and "tag"; a digest counts as no tag. */
static struct str
split_tag(struct str id, struct str *tag)
{
    ptrdiff_t at = str_index(id, '@'), colon, slash;

    if (at >= 0)
        id = str_slice(id, 0, (size_t)at);
    colon = str_rindex(id, ':');
    slash = str_rindex(id, '/');
    *tag = STR("latest");
    if (colon <= slash)
        return id;
    *tag = str_slice(id, (size_t)colon + 1, id.len);
    return str_slice(id, 0, (size_t)colon);
}

static bool
run_block(struct run *run, void *arg, struct value *out)
{
    return interp_call_closure(&run->in, arg, NULL, 0, out);
}

/* ---- docker.x() ---- */

static bool
docker_build(struct docker_call *c)
{
    struct str name = argument(c, 0, ""), arguments = argument(c, 1, ".");

    if (!check_name(c, name) ||
        !SHELL(c, "docker build -t \"" STR_FMT "\" " STR_FMT, STR_ARG(name), STR_ARG(arguments)))
        return false;
    *c->out = thing(c->run, HOST_DOCKER_IMAGE, name);
    return true;
}

static bool
docker_image(struct docker_call *c)
{
    if (!check_name(c, argument(c, 0, "")))
        return false;
    *c->out = thing(c->run, HOST_DOCKER_IMAGE, argument(c, 0, ""));
    return true;
}

/* The step that does it, with what was given by place. */
static bool
with_step(struct docker_call *c, const char *step, const char *place)
{
    struct value named = value_map(&c->run->arena);
    struct body body = {run_block, c->block};

    if (!needs_block(c))
        return false;
    map_put_text(&c->run->arena, named.map, place, value_text(argument(c, 0, "")));
    map_put_text(&c->run->arena, named.map, "credentialsId", value_text(argument(c, 1, "")));
    return step_invoke(c->run, c->at, step, named.map, &body, c->out);
}

static bool
docker_with_registry(struct docker_call *c)
{
    return with_step(c, "withDockerRegistry", "url");
}

static bool
docker_with_server(struct docker_call *c)
{
    return with_step(c, "withDockerServer", "uri");
}

static bool
docker_with_tool(struct docker_call *c)
{
    return needs_block(c) && run_block(c->run, c->block, c->out);
}

/* ---- image.x() ---- */

static struct str
id_of(struct value v)
{
    return ((const struct docker_thing *)v.data)->id;
}

static bool
image_tag(struct docker_call *c, struct str id, struct str *name_out)
{
    struct str own, repository = split_tag(id, &own), tag = argument(c, 0, ""), name;

    if (tag.len == 0)
        tag = own;
    name = docker_image_name(c->run, str_of(arena_format(&c->run->arena, STR_FMT ":" STR_FMT,
                                                         STR_ARG(repository), STR_ARG(tag))));
    *name_out = name;
    *c->out = value_text(name);
    return check_name(c, name) &&
           SHELL(c, "docker tag \"" STR_FMT "\" \"" STR_FMT "\"", STR_ARG(id), STR_ARG(name));
}

static bool
image_push(struct docker_call *c, struct str id)
{
    struct str name;

    if (!image_tag(c, id, &name) || !SHELL(c, "docker push \"" STR_FMT "\"", STR_ARG(name)))
        return false;
    *c->out = value_null();
    return true;
}

static bool
image_pull(struct docker_call *c, struct str id)
{
    return SHELL(c, "docker pull \"" STR_FMT "\"", STR_ARG(docker_image_name(c->run, id)));
}

static bool
is_there(const struct docker_call *c, struct str name, bool *out)
{
    struct value code;

    if (!shell(c,
               arena_format(&c->run->arena, "docker inspect -f . \"" STR_FMT "\" > /dev/null 2>&1",
                            STR_ARG(name)),
               "returnStatus", &code))
        return false;
    *out = code.number == 0;
    return true;
}

/* The image is pulled if it is not there; one that was built here has no registry in its name. */
static bool
image_inside(struct docker_call *c, struct str id)
{
    struct value named = value_map(&c->run->arena);
    struct body body = {run_block, c->block};
    struct str name = docker_image_name(c->run, id);
    bool there = false;

    if (!needs_block(c) || (!str_equal(name, id) && !is_there(c, id, &there)))
        return false;
    if (there)
        name = id;
    else if (!is_there(c, name, &there))
        return false;
    if (!there && !image_pull(c, id))
        return false;
    map_put_text(&c->run->arena, named.map, "image", value_text(name));
    map_put_text(&c->run->arena, named.map, "args", value_text(argument(c, 0, "")));
    return step_invoke(c->run, c->at, "withDockerContainer", named.map, &body, c->out);
}

/* `label`: the container does not outlive the build. */
static bool
start_container(struct docker_call *c, struct str id, const char *label, struct value *out)
{
    struct str arguments = argument(c, 0, ""), command = argument(c, 1, "");
    struct value text;

    if (!shell(c,
               arena_format(&c->run->arena, "docker run -d%s%s" STR_FMT " " STR_FMT "%s" STR_FMT,
                            label, arguments.len > 0 ? " " : "", STR_ARG(arguments), STR_ARG(id),
                            command.len > 0 ? " " : "", STR_ARG(command)),
               "returnStdout", &text))
        return false;
    *out = thing(c->run, HOST_DOCKER_CONTAINER, str_trim(text.text));
    return true;
}

static bool
container_stop(struct docker_call *c, struct str id)
{
    return SHELL(c, "docker stop " STR_FMT " && docker rm -f --volumes " STR_FMT, STR_ARG(id),
                 STR_ARG(id));
}

static bool
image_with_run(struct docker_call *c, struct str id)
{
    struct value container;
    struct exception *error = NULL;
    bool ok;

    if (!needs_block(c) ||
        !start_container(
            c, id, arena_format(&c->run->arena, " --label naru.build=%s", c->run->config->cookie),
            &container))
        return false;
    ok = interp_call_closure(&c->run->in, c->block, &container, 1, c->out);
    if (run_is_suspended(c->run))
        return ok;
    if (!ok && c->run->in.completion == COMPLETION_THROW)
        error = interp_catch(&c->run->in);
    else if (!ok)
        return false;
    if (!container_stop(c, id_of(container)) && error == NULL)
        return false;
    if (error == NULL)
        return true;
    (void)(c->run->in.completion == COMPLETION_THROW ? interp_catch(&c->run->in) : NULL);
    return interp_rethrow(&c->run->in, error);
}

static bool
container_port(struct docker_call *c, struct str id)
{
    struct value text;

    if (!shell(c,
               arena_format(&c->run->arena, "docker port " STR_FMT " " STR_FMT, STR_ARG(id),
                            STR_ARG(argument(c, 0, ""))),
               "returnStdout", &text))
        return false;
    *c->out = value_text(str_trim(text.text));
    return true;
}

static bool
unknown(const struct docker_call *c, const char *of)
{
    return interp_throw(&c->run->in, c->at, "MissingMethodException",
                        "%s has no method '" STR_FMT "'", of, STR_ARG(c->name));
}

static bool
method_of_docker(struct docker_call *c)
{
    static const struct {
        const char *name;
        bool (*function)(struct docker_call *c);
    } table[] = {
        {"build", docker_build},
        {"image", docker_image},
        {"withRegistry", docker_with_registry},
        {"withServer", docker_with_server},
        {"withTool", docker_with_tool},
    };

    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (str_is(c->name, table[i].name))
            return table[i].function(c);
    return unknown(c, "docker");
}

static bool
method_of_image(struct docker_call *c, struct str id)
{
    struct str name;

    if (str_is(c->name, "push"))
        return image_push(c, id);
    if (str_is(c->name, "tag"))
        return image_tag(c, id, &name);
    if (str_is(c->name, "pull"))
        return image_pull(c, id);
    if (str_is(c->name, "inside"))
        return image_inside(c, id);
    if (str_is(c->name, "run"))
        return start_container(c, id, "", c->out);
    if (str_is(c->name, "withRun"))
        return image_with_run(c, id);
    if (str_is(c->name, "imageName")) {
        *c->out = value_text(docker_image_name(c->run, id));
        return true;
    }
    return unknown(c, "an image");
}

bool
docker_method(struct run *run, const struct node *call, struct value object, struct str name,
              const struct args *args, struct value *out)
{
    struct docker_call c = {
        .run = run, .at = call, .name = name, .args = args, .count = args->count, .out = out};

    *out = value_null();
    if (c.count > 0 && args->at[c.count - 1].type == V_CLOSURE)
        c.block = args->at[--c.count].closure;
    if (args->named != NULL)
        return fail(&c, "methods of docker take no named arguments");
    if (object.host == HOST_DOCKER)
        return method_of_docker(&c);
    if (object.host == HOST_DOCKER_IMAGE)
        return str_is(name, "getId") ? docker_get(run, call, object, STR("id"), out)
                                     : method_of_image(&c, id_of(object));
    if (str_is(name, "stop"))
        return container_stop(&c, id_of(object));
    if (str_is(name, "port"))
        return container_port(&c, id_of(object));
    return unknown(&c, "a container");
}

bool
docker_get(struct run *run, const struct node *at, struct value object, struct str name,
           struct value *out)
{
    if (object.host != HOST_DOCKER && str_is(name, "id")) {
        *out = value_text(id_of(object));
        return true;
    }
    return interp_throw(&run->in, at, "MissingPropertyException", "No such property: " STR_FMT,
                        STR_ARG(name));
}

/* ---- steps ---- */

/* withDockerRegistry(url: .., credentialsId: ..) or ([url: .., credentialsId: ..]) */
static bool
step_with_registry(struct step_call *s)
{
    struct run *run = s->run;
    struct env_layer *outer = run->env;
    const struct value *registry = step_value(s, "registry");
    struct str url = step_text(s, "url", ""), id = step_text(s, "credentialsId", "");
    bool ok;

    if (registry != NULL && registry->type == V_MAP) {
        const struct value *u = map_find_text(registry->map, "url");
        const struct value *c = map_find_text(registry->map, "credentialsId");
        url = u == NULL ? url : value_to_text(&run->arena, *u);
        id = c == NULL ? id : value_to_text(&run->arena, *c);
    }
    ok = docker_login(run, s->at, run_env_push(run), url, id) &&
         s->body.run(run, s->body.arg, s->out);
    run->env = outer;
    return ok;
}

static bool
step_with_server(struct step_call *s)
{
    struct run *run = s->run;
    struct env_layer *outer = run->env;
    bool ok;

    if (step_text(s, "credentialsId", "").len > 0)
        return step_fail(s,
                         "withDockerServer: credentialsId is not supported; set DOCKER_CERT_PATH");
    run_env_set(run, run_env_push(run), STR("DOCKER_HOST"), step_text(s, "uri", ""));
    ok = s->body.run(run, s->body.arg, s->out);
    run->env = outer;
    return ok;
}

static bool
step_with_container(struct step_call *s)
{
    const struct launcher *before = s->run->launcher;
    bool ok;

    if (!step_needs_workspace(s))
        return false;
    ok = docker_box_enter(s->run, s->at, step_text(s, "image", ""), step_text(s, "args", "")) &&
         s->body.run(s->run, s->body.arg, s->out);
    run_log_flush(s->run);
    docker_box_leave(s->run, before);
    return ok;
}

step_function *
step_docker_find(struct str name)
{
    static const struct step_row table[] = {
        {"withDockerRegistry", step_with_registry},
        {"withDockerServer", step_with_server},
        {"withDockerContainer", step_with_container},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
