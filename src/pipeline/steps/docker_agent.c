/* SPDX-License-Identifier: MIT */
/* docker_agent.c - agent { docker ... } and agent { dockerfile ... } of declarative pipelines. */
#include "base/crypto.h"
#include "io/file.h"
#include "pipeline/steps/docker.h"

#define DOCKERFILE_MAX ((size_t)1 << 20)

/* The call `docker` or `dockerfile` within the agent section. */
static const struct node *
agent_call(const struct stage *stage)
{
    const struct node *block = section_block(stage->section[SECTION_AGENT]);

    return block == NULL ? NULL : block->first;
}

static bool
entry_value(struct run *run, const struct stage *stage, const char *name, struct value *out)
{
    const struct node *call = agent_call(stage);
    const struct node *entry = call == NULL ? NULL : section_entry(call, name);

    *out = value_null();
    if (entry == NULL || entry->first == NULL)
        return true;
    return interp_eval(&run->in, entry->first, out);
}

bool
docker_agent_text(struct run *run, const struct stage *stage, const char *name, struct str *out)
{
    struct value v;

    *out = STR("");
    if (!entry_value(run, stage, name, &v))
        return false;
    if (v.type != V_NULL)
        *out = value_to_text(&run->arena, v);
    return true;
}

bool
docker_agent_reuses(struct run *run, const struct stage *stage, bool *out)
{
    struct value v;

    if (!entry_value(run, stage, "reuseNode", &v))
        return false;
    *out = value_truth(v) && run->workspace != NULL;
    return true;
}

/* A shell step of the pipeline's own, so that it is seen and survives like any other. */
static bool
shell(struct run *run, const struct node *at, const char *script)
{
    struct value named = value_map(&run->arena), ignored;

    map_put_text(&run->arena, named.map, "script", value_cstr(&run->arena, script));
    return step_invoke(run, at, "sh", named.map, NULL, &ignored);
}

/* docker 'node:20', or image 'node:20' in its block. */
static bool
image_of(struct run *run, const struct stage *stage, struct str *out)
{
    const struct node *call = agent_call(stage);

    if (section_block(call) != NULL)
        return docker_agent_text(run, stage, "image", out);
    return interp_eval_text(&run->in, call->first, out);
}

static bool
read_file(struct run *run, const char *path, struct strbuf *text, struct err *err)
{
    USER_ACTS(run);

    return file_read_plain(path, DOCKERFILE_MAX, text, err);
}

/* The name is the same for the same file and arguments: docker's cache does the rest. */
static bool
build_image(struct run *run, const struct stage *stage, struct str *out)
{
    const struct node *at = stage->section[SECTION_AGENT];
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str file, dir, more;
    const char *path, *script;
    char hex[SHA1_HEX + 1];
    struct err err;

    if (!docker_agent_text(run, stage, "filename", &file) ||
        !docker_agent_text(run, stage, "dir", &dir) ||
        !docker_agent_text(run, stage, "additionalBuildArgs", &more))
        return false;
    if (file.len == 0)
        file = STR("Dockerfile");
    if (dir.len == 0)
        dir = STR(".");
    path = arena_format(&run->arena, STR_FMT "/" STR_FMT, STR_ARG(dir), STR_ARG(file));
    strbuf_addf(&text, "%s\n" STR_FMT "\n", run->config->job_name, STR_ARG(more));
    if (!read_file(run, arena_format(&run->arena, "%s/%s", run->directory, path), &text, &err))
        return interp_throw(&run->in, at, "NoSuchFileException", "agent dockerfile: %s",
                            err.message);
    sha1_hex(strbuf_str(&text), hex);
    script = arena_format(&run->arena, "docker build -t %s " STR_FMT " -f \"%s\" \"" STR_FMT "\"",
                          hex, STR_ARG(more), path, STR_ARG(dir));
    *out = str_of(arena_format(&run->arena, "%s", hex));
    return shell(run, at, script);
}

bool
docker_agent_enter(struct run *run, const struct stage *stage)
{
    const struct node *at = stage->section[SECTION_AGENT];
    struct str image, arguments, url, id;
    struct value always;

    if (!docker_is_granted(run, at) || !docker_agent_text(run, stage, "args", &arguments) ||
        !docker_agent_text(run, stage, "registryUrl", &url) ||
        !docker_agent_text(run, stage, "registryCredentialsId", &id) ||
        !entry_value(run, stage, "alwaysPull", &always))
        return false;
    if ((url.len > 0 || id.len > 0) && !docker_login(run, at, run_env_push(run), url, id))
        return false;
    if (stage->agent == AGENT_DOCKERFILE)
        return build_image(run, stage, &image) && docker_box_enter(run, at, image, arguments);
    if (!image_of(run, stage, &image))
        return false;
    image = docker_image_name(run, image);
    if (value_truth(always) &&
        !shell(run, at, arena_format(&run->arena, "docker pull \"" STR_FMT "\"", STR_ARG(image))))
        return false;
    return docker_box_enter(run, at, image, arguments);
}
