/* SPDX-License-Identifier: MIT */
#include "pipeline/language/needs.h"

#include <ctype.h>
#include "pipeline/language/names.h"
#include "pipeline/language/step_table.h"

struct finder {
    const struct jenkinsfile *j;
    struct arena *arena;
    struct need *first[NEED_UNKNOWN + 1];
    struct names names[NEED_UNKNOWN + 1]; /* of those */
    size_t count;
    struct names known; /* that the file itself gives: variables, functions, classes */
};

const char *
need_type_name(enum need_type type)
{
    static const char *const names[] = {"agent",       "tool",     "command", "credential",
                                        "parameter",   "variable", "library", "unsupported-step",
                                        "unknown-step"};

    return names[type];
}

/* NULL: there are too many. */
static struct need *
add(struct finder *f, enum need_type type, struct str name, const struct node *at, const char *note)
{
    struct need *n = (struct need *)(uintptr_t)names_find(&f->names[type], name), **to = &f->first[type];

    if (n != NULL) {
        n->count++;
        return n;
    }
    if (name.len == 0 || f->count >= NEEDS_MAX)
        return NULL;
    n = arena_alloc(f->arena, sizeof(*n));
    *n = (struct need){.type = type,
                       .name = arena_dup(f->arena, name),
                       .note = note,
                       .line = at->line,
                       .column = at->column,
                       .count = 1};
    f->count++;
    (void)names_add(f->arena, &f->names[type], n->name, n);
    while (*to != NULL && /* where it stands in the file */
           ((*to)->line < n->line || ((*to)->line == n->line && (*to)->column <= n->column)))
        to = &(*to)->next;
    n->next = *to;
    *to = n;
    return n;
}

static void
know(struct finder *f, struct str name)
{
    if (name.len > 0)
        (void)names_add(f->arena, &f->known, name, f);
}

static bool
is_known(const struct finder *f, struct str name)
{
    return names_find(&f->known, name) != NULL;
}

/* A text, or the constant beginning of one with interpolation. */
static struct str
literal(const struct node *n)
{
    if (n != NULL && n->type == N_NAMED)
        n = n->b;
    if (n == NULL)
        return (struct str){0};
    if (n->type == N_GSTRING && n->first != NULL && n->first == n->last)
        n = n->first;
    return n->type == N_TEXT ? n->text : (struct str){0};
}

static const struct node *
named(const struct node *call, const char *name)
{
    for (const struct node *n = call->first; n != NULL; n = n->next) {
        if (n->type == N_NAMED && str_is(n->text, name))
            return n->b;
        if (n->type == N_MAP) {
            const struct node *found = named(n, name);
            if (found != NULL)
                return found;
        }
    }
    return NULL;
}

/* An expression that is written down, where its text begins. */
static void
add_label(struct finder *f, const struct node *text, const char *note)
{
    struct need *agent = add(f, NEED_AGENT, literal(text), text, note);

    if (agent != NULL)
        agent->is_label = true;
}

/* ---- commands of scripts ---- */

static bool
is_command(struct str word)
{
    static const char *const commands[] = {
        "docker",
        "docker-compose",
        "aws",
        "git",
        "mvn",
        "gradle",
        "ant",
        "npm",
        "npx",
        "yarn",
        "pnpm",
        "node",
        "python",
        "python3",
        "pip",
        "pip3",
        "pytest",
        "go",
        "cargo",
        "make",
        "cmake",
        "curl",
        "wget",
        "jq",
        "yq",
        "kubectl",
        "helm",
        "terraform",
        "ansible",
        "ssh",
        "scp",
        "rsync",
        "java",
        "dotnet",
        "php",
        "ruby",
        "bundle",
        "rake",
        "trivy",
        "composer",
        "buildah",
        "podman",
        "skopeo",
        "zip",
        "unzip",
        "psql",
        "mysql",
        "redis-cli",
        "sam",
        "cdk",
        "ecs-cli",
        "gcloud",
        "az",
        "packer",
        "vault",
        "envsubst",
        "tox",
        "poetry",
        "snyk",
        "nerdctl",
        "sonar-scanner",
        "ansible-playbook",
    };

    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        if (str_is(word, commands[i]))
            return true;
    return false;
}

/* The first word of each command of a shell script, as far as it can be told by reading. */
static void
find_commands(struct finder *f, struct str script, const struct node *at)
{
    bool is_first = true;

    for (size_t i = 0; i < script.len;) {
        size_t end = i;
        while (end < script.len && !isspace((unsigned char)script.at[end]) &&
               strchr(";|&()$`\"'", script.at[end]) == NULL)
            end++;
        if (end == i) {
            if (strchr(";|&(`\n", script.at[i]) != NULL)
                is_first = true;
            else if (!isspace((unsigned char)script.at[i]))
                is_first = false;
            i++;
            continue;
        }
        struct str word = str_slice(script, i, end);
        if (is_first && is_command(word))
            add(f, NEED_COMMAND, word, at, NULL);
        if (!str_is(word, "sudo") && !str_is(word, "env") && !str_is(word, "time") &&
            !str_is(word, "then") && !str_is(word, "do") && !str_is(word, "if") &&
            !str_is(word, "else") && str_index(word, '=') < 0)
            is_first = false;
        i = end;
    }
}

static void
find_script(struct finder *f, const struct node *call)
{
    const struct node *script = named(call, "script");

    if (script == NULL)
        script = call->first;
    if (script != NULL && script->type == N_GSTRING) {
        for (const struct node *part = script->first; part != NULL; part = part->next)
            if (part->type == N_TEXT)
                find_commands(f, part->text, script);
    } else {
        find_commands(f, literal(script), call);
    }
}

/* ---- calls ---- */

/* Why a step that is known does not do here what it does in Jenkins; NULL: it does. */
static const char *
refusal(struct str step, const struct step_type *type)
{
    if (str_is(step, "bat") || str_is(step, "powershell") || str_is(step, "pwsh"))
        return "there is no Windows agent; use sh";
    if (str_is(step, "podTemplate") || str_is(step, "container"))
        return "there is no Kubernetes; use agent { docker { image '...' } }";
    if (type != NULL && (type->kind == STEP_LATER || type->kind == STEP_REFUSED))
        return "not here; it fails when it is reached";
    if (type != NULL && type->kind == STEP_SKIPPED)
        return "a plugin's; skipped here";
    return NULL;
}

static bool
is_of_language(struct str name)
{
    static const char *const names[] = {"pipeline",   "credentials", "printf",  "sprintf",
                                        "call",       "super",       "this",    "$",
                                        "logRotator", "getContext",  "evaluate"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_is(name, names[i]))
            return true;
    return false;
}

/* Does the name stand for something only inside another call: parameters of properties([...])? */
static bool
is_symbol(struct str name)
{
    static const char *const symbols[] = {"usernamePassword",
                                          "usernameColonPassword",
                                          "sshUserPrivateKey",
                                          "certificate",
                                          "gitUsernamePassword",
                                          "aws",
                                          "parameters",
                                          "pipelineTriggers",
                                          "disableConcurrentBuilds",
                                          "scmGit",
                                          "userRemoteConfigs",
                                          "modernSCM",
                                          "fromScm",
                                          "artifactManager",
                                          "lastSuccessful",
                                          "specific",
                                          "githubNotify",
                                          "authorizationMatrix",
                                          "secretText",
                                          "dockerCert",
                                          "zip"};

    for (size_t i = 0; i < ARRAY_COUNT(symbols); i++)
        if (str_is(name, symbols[i]))
            return true;
    return option_type_find(name) != NULL || parameter_type_find(name) != NULL ||
           trigger_type_find(name) != NULL || when_type_find(name) != NULL || step_symbol_is_known(name);
}

static void
find_call(struct finder *f, const struct node *n)
{
    const struct step_type *type = step_type_find(n->text);
    const struct node *id = named(n, "credentialsId");

    add(f, NEED_CREDENTIAL, literal(id), n, NULL);
    if (str_is(n->text, "credentials") && n->first != NULL)
        add(f, NEED_CREDENTIAL, literal(n->first), n, NULL);
    if (str_is(n->text, "withAWS"))
        add(f, NEED_CREDENTIAL, literal(named(n, "credentials")), n, NULL);
    if (str_is(n->text, "sshagent") && n->first != NULL) {
        const struct node *ids = n->first->type == N_NAMED ? n->first->b : n->first;
        for (const struct node *one = ids->type == N_LIST ? ids->first : ids; one != NULL;
             one = ids->type == N_LIST ? one->next : NULL)
            add(f, NEED_CREDENTIAL, literal(one), n, NULL);
    }
    if (str_is(n->text, "sh"))
        find_script(f, n);
    if (str_is(n->text, "node"))
        add_label(f, named(n, "label") != NULL ? named(n, "label") : n->first, "a label");
    if (str_is(n->text, "library"))
        add(f, NEED_LIBRARY, literal(n->first), n, NULL);
    if (str_is(n->text, "tool"))
        add(f, NEED_TOOL, literal(n->first), n, NULL);
    if (refusal(n->text, type) != NULL)
        add(f, NEED_UNSUPPORTED, n->text, n, refusal(n->text, type));
    else if (type == NULL && !is_known(f, n->text) && !is_of_language(n->text) &&
             !is_symbol(n->text)) {
        struct need *unknown = add(f, NEED_UNKNOWN, n->text, n, NULL);
        const char *near = unknown != NULL && unknown->count == 1 ? step_name_near(n->text) : NULL;
        if (near != NULL)
            unknown->note = arena_format(f->arena, "did you mean '%s'?", near);
    }
}

/* ---- names ---- */

static bool
is_set_by_naru(struct str name)
{
    static const char *const names[] = {"BUILD_NUMBER",
                                        "BUILD_ID",
                                        "BUILD_DISPLAY_NAME",
                                        "BUILD_TAG",
                                        "JOB_NAME",
                                        "JOB_BASE_NAME",
                                        "BUILD_URL",
                                        "JOB_URL",
                                        "RUN_DISPLAY_URL",
                                        "JENKINS_URL",
                                        "JENKINS_HOME",
                                        "HUDSON_URL",
                                        "HUDSON_HOME",
                                        "CI",
                                        "EXECUTOR_NUMBER",
                                        "NODE_NAME",
                                        "NODE_LABELS",
                                        "WORKSPACE",
                                        "WORKSPACE_TMP",
                                        "STAGE_NAME",
                                        "BRANCH_NAME",
                                        "BRANCH_IS_PRIMARY",
                                        "GIT_COMMIT",
                                        "GIT_BRANCH",
                                        "GIT_URL",
                                        "GIT_PREVIOUS_COMMIT",
                                        "GIT_PREVIOUS_SUCCESSFUL_COMMIT",
                                        "TAG_NAME",
                                        "PATH",
                                        "HOME",
                                        "USER",
                                        "LANG",
                                        "SHELL",
                                        "TZ",
                                        "PWD"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_is(name, names[i]))
            return true;
    return str_starts(name, STR("CHANGE_"));
}

static bool
is_upper(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isupper((unsigned char)name.at[i]) && !isdigit((unsigned char)name.at[i]) &&
            name.at[i] != '_')
            return false;
    return name.len > 1 && isupper((unsigned char)name.at[0]);
}

static void
find_variable(struct finder *f, struct str name, const struct node *at)
{
    if (!is_known(f, name) && !is_set_by_naru(name))
        add(f, NEED_VARIABLE, name, at, NULL);
}

/* ---- the walk ---- */

/* `depth` of the tree has a limit of its own (SYNTAX_TREE_MAX). */
static void
walk(struct finder *f, const struct node *n, void (*visit)(struct finder *f, const struct node *n))
{
    const struct node *parts[NODE_PARTS_MAX];
    size_t count;

    visit(f, n);
    count = node_parts(n, parts);
    for (size_t i = 0; i < count; i++)
        for (const struct node *c = parts[i]; c != NULL; c = c->next)
            walk(f, c, visit);
}

/* "A=1" and "PATH+X=/y" of withEnv. */
static void
know_overrides(struct finder *f, const struct node *call)
{
    const struct node *list =
        call->first != NULL && call->first->type == N_NAMED ? call->first->b : call->first;

    for (const struct node *n = list != NULL && list->type == N_LIST ? list->first : NULL;
         n != NULL; n = n->next) {
        const struct str text = n->type == N_GSTRING && n->first != NULL ? n->first->text : n->text;
        const ptrdiff_t equals = str_index(text, '=');
        if (equals > 0)
            know(f, str_slice(text, 0, (size_t)equals));
    }
}

static void
collect_known(struct finder *f, const struct node *n)
{
    switch (n->type) {
    case N_DECLARE:
    case N_METHOD:
    case N_CLASS:
    case N_PARAMETER:
    case N_CATCH:
    case N_FOR_IN:
        know(f, n->text);
        break;
    case N_IMPORT:
        know(f, n->type_text.len > 0 ? n->type_text : n->text);
        break;
    case N_ASSIGN:
        if (n->a->type == N_NAME ||
            (n->a->type == N_PROPERTY && n->a->a->type == N_NAME && str_is(n->a->a->text, "env")))
            know(f, n->a->text);
        break;
    case N_NAMED: /* a closure in a map is called by its name; a binding gives a variable */
        if (n->b != NULL && n->b->type == N_CLOSURE)
            know(f, n->text);
        if (str_ends(n->text, STR("ariable")) || str_is(n->text, "name"))
            know(f, literal(n->b));
        break;
    case N_CALL:
        if (n->a == NULL && str_is(n->text, "withEnv"))
            know_overrides(f, n);
        break;
    default:
        break;
    }
}

static void
visit(struct finder *f, const struct node *n)
{
    if (n->type == N_CALL && n->a == NULL && n->b == NULL)
        find_call(f, n);
    else if (n->type == N_CALL || n->type == N_MAP)
        add(f, NEED_CREDENTIAL, literal(named(n, "credentialsId")), n, NULL);
    else if (n->type == N_UNSUPPORTED)
        add(f, NEED_UNSUPPORTED, n->text, n, "fails when it is reached");
    else if (n->type == N_PROPERTY && n->a->type == N_NAME && str_is(n->a->text, "params"))
        add(f, NEED_PARAMETER, n->text, n, is_known(f, n->text) ? NULL : "not declared here");
    else if ((n->type == N_PROPERTY && n->a->type == N_NAME && str_is(n->a->text, "env")) ||
             (n->type == N_NAME && is_upper(n->text)))
        find_variable(f, n->text, n);
    else if (n->type == N_LIBRARY)
        for (const struct node *one = n->first; one != NULL; one = one->next) {
            add(f, NEED_LIBRARY, literal(one), n, NULL);
            for (const struct node *item = one->first; item != NULL && one->type == N_LIST;
                 item = item->next)
                add(f, NEED_LIBRARY, literal(item), n, NULL);
        }
    /* docker.withRegistry(url, 'id') */
    if (n->type == N_CALL && n->a != NULL && str_is(n->text, "withRegistry") && n->first != NULL &&
        n->first->next != NULL)
        add(f, NEED_CREDENTIAL, literal(n->first->next), n, NULL);
}

/* ---- sections ---- */

static void
find_agent(struct finder *f, const struct stage *s)
{
    const struct node *call = s->section[SECTION_AGENT];
    const struct node *block = section_block(call), *entry = block == NULL ? NULL : block->first;
    const struct node *keys;

    if (s->agent == AGENT_ANY) {
        add(f, NEED_AGENT, STR("any"), call, NULL);
    } else if (s->agent == AGENT_KUBERNETES) {
        add(f, NEED_UNSUPPORTED, STR("agent kubernetes"), call,
            "there is no Kubernetes; use agent { docker { image '...' } }");
    } else if (entry != NULL && s->agent == AGENT_DOCKERFILE) {
        add(f, NEED_AGENT, STR("dockerfile"), call, "built with docker");
        add(f, NEED_COMMAND, STR("docker"), call, NULL);
    } else if (entry != NULL && s->agent != AGENT_NONE) {
        const bool is_docker = s->agent == AGENT_DOCKER;
        const struct node *name = entry->first, *label = NULL;
        for (keys = section_block(entry) == NULL ? NULL : section_block(entry)->first; keys != NULL;
             keys = keys->next)
            if (str_is(keys->text, is_docker ? "image" : "label"))
                name = keys->first;
            else if (str_is(keys->text, "label"))
                label = keys->first;
        if (literal(name).len == 0)
            add(f, NEED_AGENT, STR("(computed)"), call, is_docker ? "a docker image" : "a label");
        else if (is_docker)
            add(f, NEED_AGENT, literal(name), call, "a docker image");
        else
            add_label(f, name, "a label");
        add_label(f, label, "a label");
        if (is_docker)
            add(f, NEED_COMMAND, STR("docker"), call, NULL);
    }
}

static void
find_entries(struct finder *f, const struct stage *s, enum section section)
{
    const struct node *block = section_block(s->section[section]);

    for (const struct node *n = block == NULL ? NULL : block->first; n != NULL; n = n->next) {
        if (section == SECTION_TOOLS)
            add(f, NEED_TOOL,
                str_of(arena_format(f->arena, STR_FMT " '" STR_FMT "'", STR_ARG(n->text),
                                    STR_ARG(literal(n->first)))),
                n, "taken from PATH");
        else if (section == SECTION_PARAMETERS)
            add(f, NEED_PARAMETER, literal(named(n, "name")), n,
                arena_format(f->arena, STR_FMT, STR_ARG(n->text)));
        else
            add(f, NEED_LIBRARY, literal(n->first), n, NULL);
    }
}

static void
find_sections(struct finder *f, const struct stage *s)
{
    if (s->section[SECTION_AGENT] != NULL)
        find_agent(f, s);
    find_entries(f, s, SECTION_TOOLS);
    find_entries(f, s, SECTION_PARAMETERS);
    find_entries(f, s, SECTION_LIBRARIES);
    if (s->matrix != NULL)
        find_sections(f, s->matrix);
    for (const struct stage *child = s->stages; child != NULL; child = child->next)
        find_sections(f, child);
}

/* Within a declarative pipeline the sections are calls as well; only what holds steps, values or
 * conditions is walked. */
static void
walk_stage(struct finder *f, const struct stage *s)
{
    static const enum section walked[] = {SECTION_ENVIRONMENT, SECTION_WHEN, SECTION_OPTIONS,
                                          SECTION_STEPS,       SECTION_POST, SECTION_INPUT,
                                          SECTION_PARAMETERS};

    for (size_t i = 0; i < ARRAY_COUNT(walked); i++) {
        const struct node *block = section_block(s->section[walked[i]]);
        for (const struct node *n = block == NULL ? NULL : block->first; n != NULL; n = n->next) {
            const bool is_condition = walked[i] == SECTION_POST || walked[i] == SECTION_INPUT;
            const struct node *inner = is_condition ? section_block(n) : NULL;
            if (!is_condition)
                walk(f, n, visit);
            for (const struct node *c = inner == NULL ? NULL : inner->first; c != NULL; c = c->next)
                walk(f, c, visit);
        }
    }
    if (s->matrix != NULL)
        walk_stage(f, s->matrix);
    for (const struct stage *child = s->stages; child != NULL; child = child->next)
        walk_stage(f, child);
}

static void
know_axes(struct finder *f, const struct node *n)
{
    if (n->type == N_CALL && n->a == NULL && str_is(n->text, "name") && n->first != NULL)
        know(f, literal(n->first));
}

struct need *
needs_find(const struct jenkinsfile *j, struct arena *arena)
{
    struct finder f = {.j = j, .arena = arena};
    struct need *all = NULL, **end = &all;

    walk(&f, j->script, collect_known);
    walk(&f, j->script, know_axes);
    if (j->pipeline != NULL)
        find_sections(&f, j->pipeline);
    for (const struct node *n = j->script->first; n != NULL; n = n->next) {
        if (n == j->pipeline_call)
            walk_stage(&f, j->pipeline);
        else
            walk(&f, n, visit);
    }
    for (size_t i = 0; i <= NEED_UNKNOWN; i++)
        for (*end = f.first[i]; *end != NULL; end = &(*end)->next)
            ;
    return all;
}
