/* SPDX-License-Identifier: MIT */
#include "pipeline/language/step_table.h"

#include <stdio.h>

static const struct step_type steps[] = {
    {"sh", STEP_PLAIN, "script!s returnStdout:b returnStatus:b encoding:s label:s"},
    {"echo", STEP_PLAIN, "message!a"},
    {"println", STEP_PLAIN, NULL},
    {"print", STEP_PLAIN, NULL},
    {"error", STEP_PLAIN, "message!s"},
    {"unstable", STEP_PLAIN, "message!s"},
    {"sleep", STEP_PLAIN, "time!i unit:s"},
    {"dir", STEP_BLOCK, "path!s"},
    {"ws", STEP_BLOCK, "dir!s"},
    {"deleteDir", STEP_PLAIN, ""},
    {"cleanWs", STEP_PLAIN, NULL},
    {"pwd", STEP_PLAIN, "tmp:b"},
    {"isUnix", STEP_PLAIN, ""},
    {"fileExists", STEP_PLAIN, "file!s"},
    {"readFile", STEP_PLAIN, "file!s encoding:s"},
    {"writeFile", STEP_PLAIN, "file!s text!s encoding:s"},
    {"touch", STEP_PLAIN, "file!s timestamp:i"},
    {"sha1", STEP_PLAIN, "file!s"},
    {"sha256", STEP_PLAIN, "file!s"},
    {"readJSON", STEP_PLAIN, "file:s text:s returnPojo:b"},
    {"writeJSON", STEP_PLAIN, "json!a file:s pretty:i returnText:b"},
    {"readYaml", STEP_PLAIN, "file:s text:s codePointLimit:i maxAliasesForCollections:i"},
    {"writeYaml", STEP_PLAIN, "file:s data:a datas:a charset:s overwrite:b returnText:b"},
    {"readProperties", STEP_PLAIN, "file:s text:s charset:s defaults:a interpolate:b"},
    {"readCSV", STEP_PLAIN, "file:s text:s format:a"},
    {"writeCSV", STEP_PLAIN, "records!a file:s format:a"},
    {"readMavenPom", STEP_PLAIN, "file:s"},
    {"findFiles", STEP_PLAIN, "glob:s excludes:s"},
    {"zip", STEP_PLAIN,
     "zipFile!s dir:s glob:s exclude:s archive:b overwrite:b defaultExcludes:b file:s"},
    {"unzip", STEP_PLAIN, "zipFile!s dir:s glob:s charset:s quiet:b read:b test:b file:s"},
    {"tar", STEP_PLAIN,
     "file!s dir:s glob:s exclude:s archive:b compress:b overwrite:b defaultExcludes:b"},
    {"untar", STEP_PLAIN, "file!s dir:s glob:s quiet:b test:b keepPermissions:b"},
    {"withEnv", STEP_BLOCK, "overrides!a"},
    {"withCredentials", STEP_BLOCK, "bindings!a"},
    {"script", STEP_SCRIPT, NULL},
    {"timeout", STEP_BLOCK, "time!i unit:s activity:b"},
    {"retry", STEP_BLOCK, "count!i conditions:a"},
    {"waitUntil", STEP_BLOCK, "initialRecurrencePeriod:i quiet:b"},
    {"catchError", STEP_BLOCK, "message:s buildResult:s stageResult:s catchInterruptions:b"},
    {"warnError", STEP_BLOCK, "message!s catchInterruptions:b"},
    {"checkout", STEP_PLAIN, "scm!a changelog:b poll:b"},
    {"git", STEP_PLAIN, "url!s branch:s credentialsId:s changelog:b poll:b"},
    {"stash", STEP_PLAIN, "name!s includes:s excludes:s useDefaultExcludes:b allowEmpty:b"},
    {"unstash", STEP_PLAIN, "name!s"},
    {"archiveArtifacts", STEP_PLAIN,
     "artifacts!s allowEmptyArchive:b fingerprint:b onlyIfSuccessful:b excludes:s "
     "defaultExcludes:b caseSensitive:b followSymlinks:b"},
    {"archive", STEP_PLAIN, "includes!s excludes:s"},
    {"junit", STEP_PLAIN,
     "testResults!s allowEmptyResults:b keepLongStdio:b healthScaleFactor:a "
     "skipPublishingChecks:b skipMarkingBuildUnstable:b checksName:s testDataPublishers:a"},
    {"timestamps", STEP_BLOCK, ""},
    {"ansiColor", STEP_BLOCK, "colorMapName!s"},
    {"stage", STEP_BLOCKED, "name!s concurrency:i"},
    {"properties", STEP_BLOCKED, "properties!a"},
    {"parallel", STEP_BLOCKED, NULL},
    {"node", STEP_BLOCK, "label:s"},
    {"input", STEP_PLAIN,
     "message!s id:s ok:s submitter:s submitterParameter:s parameters:a cancel:s"},
    {"build", STEP_PLAIN, "job!s parameters:a wait:b propagate:b quietPeriod:i"},
    {"lock", STEP_BLOCK,
     "resource:s label:s quantity:i variable:s inversePrecedence:b skipIfLocked:b extra:a "
     "priority:i reason:s resourceSelectStrategy:s"},
    {"throttle", STEP_BLOCK, "categories!a"},
    {"milestone", STEP_PLAIN, "ordinal:i label:s unsafe:b"},
    {"withDockerRegistry", STEP_BLOCK, "registry:a url:s credentialsId:s toolName:s"},
    {"withDockerServer", STEP_BLOCK, "uri!s credentialsId:s"},
    {"withDockerContainer", STEP_BLOCK, "image!s args:s toolName:s"},
    {"library", STEP_PLAIN, "identifier!s changelog:b retriever:a"},
    {"libraryResource", STEP_PLAIN, "resource!s encoding:s"},
    {"load", STEP_PLAIN, "path!s"},
    {"withAWS", STEP_BLOCK,
     "region:s credentials:s profile:s endpointUrl:s role:s roleAccount:s roleSessionName:s "
     "externalId:s duration:i policy:s federatedUserId:s principalArn:s samlAssertion:s "
     "iamMfaToken:s useNode:b"},
    {"awsIdentity", STEP_PLAIN, ""},
    {"ecrLogin", STEP_PLAIN, "email:b registryIds:a"},
    {"sshagent", STEP_BLOCK, "credentials!a ignoreMissing:b"},
    {"tool", STEP_PLAIN, "name!s type:s"},
    {"nodejs", STEP_BLOCK, "nodeJSInstallationName!s configId:s cacheLocationStrategy:a"},
    {"withMaven", STEP_BLOCK, NULL},
    {"withKubeConfig", STEP_BLOCK, NULL},
    {"publishHTML", STEP_PLAIN, NULL},
    {"step", STEP_PLAIN, "delegate!a"},
    {"wrap", STEP_BLOCK, "delegate!a"},
    {"httpRequest", STEP_PLAIN,
     "url!s httpMode:s requestBody:s contentType:s acceptType:s customHeaders:a authentication:s "
     "validResponseCodes:s validResponseContent:s timeout:i consoleLogResponseBody:b outputFile:s "
     "quiet:b ignoreSslErrors:b responseHandle:s"},
    {"slackSend", STEP_PLAIN,
     "message:a color:s channel:s teamDomain:s tokenCredentialId:s token:s baseUrl:s botUser:b "
     "failOnError:b notifyCommitters:b attachments:a blocks:a username:s iconEmoji:s"},
    {"mail", STEP_PLAIN, "subject!s body!s to:s cc:s bcc:s from:s replyTo:s charset:s mimeType:s"},
    {"emailext", STEP_PLAIN,
     "subject:s body:s to:s from:s replyTo:s mimeType:s recipientProviders:a attachLog:b "
     "compressLog:b attachmentsPattern:s presendScript:s postsendScript:s saveOutput:b"},
    {"podTemplate", STEP_REFUSED, NULL},
    {"container", STEP_REFUSED, NULL},
    {"addBadge", STEP_SKIPPED, NULL},
    {"addGitLabMRComment", STEP_SKIPPED, NULL},
    {"addInfoBadge", STEP_SKIPPED, NULL},
    {"addShortText", STEP_SKIPPED, NULL},
    {"allure", STEP_SKIPPED, NULL},
    {"aquaMicroscanner", STEP_SKIPPED, NULL},
    {"bitbucketStatusNotify", STEP_SKIPPED, NULL},
    {"buildDescription", STEP_SKIPPED, NULL},
    {"checkstyle", STEP_SKIPPED, NULL},
    {"cleanUp", STEP_SKIPPED, NULL},
    {"clover", STEP_SKIPPED, NULL},
    {"cobertura", STEP_SKIPPED, NULL},
    {"configFileProvider", STEP_SKIPPED, NULL},
    {"createSummary", STEP_SKIPPED, NULL},
    {"cucumber", STEP_SKIPPED, NULL},
    {"dependencyCheck", STEP_SKIPPED, NULL},
    {"dependencyCheckPublisher", STEP_SKIPPED, NULL},
    {"dependencyTrackPublisher", STEP_SKIPPED, NULL},
    {"dingtalk", STEP_SKIPPED, NULL},
    {"discordSend", STEP_SKIPPED, NULL},
    {"discoverGitReferenceBuild", STEP_SKIPPED, NULL},
    {"discoverReferenceBuild", STEP_SKIPPED, NULL},
    {"dry", STEP_SKIPPED, NULL},
    {"findbugs", STEP_SKIPPED, NULL},
    {"fingerprint", STEP_SKIPPED, NULL},
    {"gatlingArchive", STEP_SKIPPED, NULL},
    {"gitlabCommitStatus", STEP_SKIPPED, NULL},
    {"googlechatnotification", STEP_SKIPPED, NULL},
    {"hipchatSend", STEP_SKIPPED, NULL},
    {"influxDbPublisher", STEP_SKIPPED, NULL},
    {"jacoco", STEP_SKIPPED, NULL},
    {"jiraComment", STEP_SKIPPED, NULL},
    {"jiraSendBuildInfo", STEP_SKIPPED, NULL},
    {"jiraSendDeploymentInfo", STEP_SKIPPED, NULL},
    {"logParser", STEP_SKIPPED, NULL},
    {"mattermostSend", STEP_SKIPPED, NULL},
    {"mineRepository", STEP_SKIPPED, NULL},
    {"nexusArtifactUploader", STEP_SKIPPED, NULL},
    {"nexusPolicyEvaluation", STEP_SKIPPED, NULL},
    {"nexusPublisher", STEP_SKIPPED, NULL},
    {"notifyBitbucket", STEP_SKIPPED, NULL},
    {"nunit", STEP_SKIPPED, NULL},
    {"office365ConnectorSend", STEP_SKIPPED, NULL},
    {"perfReport", STEP_SKIPPED, NULL},
    {"performanceReport", STEP_SKIPPED, NULL},
    {"plot", STEP_SKIPPED, NULL},
    {"pmd", STEP_SKIPPED, NULL},
    {"publishChecks", STEP_SKIPPED, NULL},
    {"publishCoverage", STEP_SKIPPED, NULL},
    {"publishIssues", STEP_SKIPPED, NULL},
    {"rateLimit", STEP_SKIPPED, NULL},
    {"recordCoverage", STEP_SKIPPED, NULL},
    {"recordIssues", STEP_SKIPPED, NULL},
    {"robot", STEP_SKIPPED, NULL},
    {"rocketSend", STEP_SKIPPED, NULL},
    {"rtBuildInfo", STEP_SKIPPED, NULL},
    {"rtDownload", STEP_SKIPPED, NULL},
    {"rtMavenDeployer", STEP_SKIPPED, NULL},
    {"rtMavenRun", STEP_SKIPPED, NULL},
    {"rtPublishBuildInfo", STEP_SKIPPED, NULL},
    {"rtServer", STEP_SKIPPED, NULL},
    {"rtUpload", STEP_SKIPPED, NULL},
    {"s3Download", STEP_SKIPPED, NULL},
    {"s3Upload", STEP_SKIPPED, NULL},
    {"scanForIssues", STEP_SKIPPED, NULL},
    {"setGitHubPullRequestStatus", STEP_SKIPPED, NULL},
    {"snsPublish", STEP_SKIPPED, NULL},
    {"snykSecurity", STEP_SKIPPED, NULL},
    {"ssh", STEP_SKIPPED, NULL},
    {"sshPublisher", STEP_SKIPPED, NULL},
    {"telegramSend", STEP_SKIPPED, NULL},
    {"testng", STEP_SKIPPED, NULL},
    {"twistlockPublish", STEP_SKIPPED, NULL},
    {"twistlockScan", STEP_SKIPPED, NULL},
    {"updateGitlabCommitStatus", STEP_SKIPPED, NULL},
    {"waitForQualityGate", STEP_SKIPPED, NULL},
    {"warnings", STEP_SKIPPED, NULL},
    {"withChecks", STEP_SKIPPED, NULL},
    {"withGradle", STEP_SKIPPED, NULL},
    {"withSonarQubeEnv", STEP_SKIPPED, NULL},
    {"xunit", STEP_SKIPPED, NULL},
    {"githubNotify", STEP_PLAIN,
     "status!s context:s description:s targetUrl:s sha:s repo:s account:s credentialsId:s "
     "gitApiUrl:s"},
    {"copyArtifacts", STEP_LATER, NULL},
    {"bat", STEP_REFUSED, "script!s returnStdout:b returnStatus:b encoding:s label:s"},
    {"powershell", STEP_REFUSED, "script!s returnStdout:b returnStatus:b encoding:s label:s"},
    {"pwsh", STEP_REFUSED, "script!s returnStdout:b returnStatus:b encoding:s label:s"},
};

static const struct step_type conditions[] = {
    {"branch", STEP_PLAIN, "pattern!s comparator:s"},
    {"tag", STEP_PLAIN, "pattern:s comparator:s"},
    {"buildingTag", STEP_PLAIN, ""},
    {"changeRequest", STEP_PLAIN,
     "id:s target:s branch:s fork:s url:s title:s author:s authorDisplayName:s authorEmail:s "
     "comparator:s"},
    {"changeset", STEP_PLAIN, "pattern:s glob:s caseSensitive:b comparator:s"},
    {"changelog", STEP_PLAIN, "pattern!s"},
    {"environment", STEP_PLAIN, "name!s value!s ignoreCase:b"},
    {"equals", STEP_PLAIN, "expected!a actual!a"},
    {"expression", STEP_SCRIPT, NULL},
    {"triggeredBy", STEP_PLAIN, "cause!s detail:s"},
    {"isRestartedRun", STEP_PLAIN, ""},
    {"not", STEP_BLOCK, NULL},
    {"allOf", STEP_BLOCK, NULL},
    {"anyOf", STEP_BLOCK, NULL},
    {"beforeAgent", STEP_PLAIN, NULL},
    {"beforeInput", STEP_PLAIN, NULL},
    {"beforeOptions", STEP_PLAIN, NULL},
};

/* STEP_BLOCK: a wrapper, allowed in a stage as well. */
static const struct step_type options[] = {
    {"timeout", STEP_BLOCK, "time!i unit:s activity:b"},
    {"retry", STEP_BLOCK, "count!i conditions:a"},
    {"timestamps", STEP_BLOCK, ""},
    {"ansiColor", STEP_BLOCK, "colorMapName!s"},
    {"catchError", STEP_BLOCK, "message:s buildResult:s stageResult:s catchInterruptions:b"},
    {"warnError", STEP_BLOCK, "message!s catchInterruptions:b"},
    {"withEnv", STEP_BLOCK, "overrides!a"},
    {"withCredentials", STEP_BLOCK, "bindings!a"},
    {"lock", STEP_BLOCK, NULL},
    {"throttle", STEP_BLOCK, NULL},
    {"waitUntil", STEP_BLOCK, NULL},
    {"skipDefaultCheckout", STEP_OPEN, "value:b"},
    {"checkoutToSubdirectory", STEP_OPEN, "path!s"},
    {"buildDiscarder", STEP_PLAIN, "strategy!a"},
    {"disableConcurrentBuilds", STEP_PLAIN, "abortPrevious:b"},
    {"skipStagesAfterUnstable", STEP_PLAIN, "value:b"},
    {"parallelsAlwaysFailFast", STEP_PLAIN, "value:b"},
    {"quietPeriod", STEP_PLAIN, "value:i"},
    {"disableResume", STEP_PLAIN, "value:b"},
    {"durabilityHint", STEP_PLAIN, "hint!s"},
    {"preserveStashes", STEP_PLAIN, "buildCount:i"},
    {"disableRestartFromStage", STEP_PLAIN, "value:b"},
    {"overrideIndexTriggers", STEP_PLAIN, "enableTriggers!b"},
    {"rateLimitBuilds", STEP_PLAIN, NULL},
    {"newContainerPerStage", STEP_PLAIN, "value:b"},
    {"throttleJobProperty", STEP_PLAIN,
     "categories:a throttleEnabled:b throttleOption:s maxConcurrentPerNode:i maxConcurrentTotal:i "
     "limitOneJobWithMatchingParams:b paramsToUseForLimit:s matrixOptions:a"},
    {"gitLabConnection", STEP_PLAIN, NULL},
    {"copyArtifactPermission", STEP_PLAIN, NULL},
};

static const struct step_type parameters[] = {
    {"string", STEP_PLAIN, "name!s defaultValue:s description:s trim:b"},
    {"text", STEP_PLAIN, "name!s defaultValue:s description:s trim:b"},
    {"booleanParam", STEP_PLAIN, "name!s defaultValue:b description:s"},
    {"choice", STEP_PLAIN, "name!s choices:a description:s choicesString:s"},
    {"password", STEP_PLAIN, "name!s defaultValue:a defaultValueAsSecret:a description:s"},
    {"file", STEP_PLAIN, "name!s description:s"},
    {"run", STEP_PLAIN, "name!s projectName:s description:s filter:s"},
    {"credentials", STEP_PLAIN, "name!s credentialType:s defaultValue:s description:s required:b"},
    {"gitParameter", STEP_PLAIN, NULL},
};

static const struct step_type triggers[] = {
    {"cron", STEP_PLAIN, "spec!s"},
    {"pollSCM", STEP_PLAIN, "scmpoll_spec!s ignorePostCommitHooks:b"},
    {"upstream", STEP_PLAIN, "upstreamProjects!s threshold:a"},
    {"githubPush", STEP_PLAIN, ""},
    {"issueCommentTrigger", STEP_PLAIN, NULL},
    {"parameterizedCron", STEP_PLAIN, NULL},
    {"GenericTrigger", STEP_PLAIN, NULL},
};

static const struct step_type *
find(const struct step_type *table, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (name.len > 0 && name.at[0] == table[i].name[0] && str_is(name, table[i].name))
            return &table[i];
    return NULL;
}

bool
step_symbol_is_known(struct str name)
{
    static const char *const names[] = {
        /* Warnings Next Generation */
        "analysisParser", "androidLintParser", "ansibleLint", "cargo", "checkStyle", "clang", "clangTidy", "cpd", "cppCheck",
        "cppLint", "detekt", "dockerLint", "esLint", "excludeCategory", "excludeFile", "excludeMessage", "excludeModule",
        "excludePackage", "excludeType", "findBugs", "flake8", "gcc", "gcc4", "goLint", "goVet", "groovyScript", "hadoLint",
        "includeCategory", "includeFile", "includeMessage", "includeModule", "includePackage", "includeType", "issues", "java",
        "javaDoc", "junitParser", "kotlin", "ktLint", "mavenConsole", "msBuild", "owaspDependencyCheck", "php",
        "phpCodeSniffer", "phpStan", "pmdParser", "pyDocStyle", "pyLint", "revApi", "ruboCop", "sarif", "scala", "sonarQube",
        "spotBugs", "styleLint", "swiftLint", "taskScanner", "trivy", "tsLint", "yamlLint",
        /* coverage */
        "coberturaAdapter", "coberturaReportAdapter", "istanbulCoberturaAdapter", "jacocoAdapter", "sourceFiles"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_is(name, names[i]))
            return true;
    return false;
}

const struct step_type *
step_type_find(struct str name)
{
    return find(steps, ARRAY_COUNT(steps), name);
}

const struct step_type *
when_type_find(struct str name)
{
    return find(conditions, ARRAY_COUNT(conditions), name);
}

const struct step_type *
option_type_find(struct str name)
{
    return find(options, ARRAY_COUNT(options), name);
}

const struct step_type *
parameter_type_find(struct str name)
{
    return find(parameters, ARRAY_COUNT(parameters), name);
}

const struct step_type *
trigger_type_find(struct str name)
{
    return find(triggers, ARRAY_COUNT(triggers), name);
}

size_t
step_args_parse(const char *args, struct arg_spec out[static STEP_ARGS_MAX])
{
    size_t count = 0;

    for (const char *at = args; *at != '\0' && count < STEP_ARGS_MAX; count++) {
        const char *name = at;
        while (*at != '!' && *at != ':')
            at++;
        out[count] = (struct arg_spec){str_range(name, at), *at == '!', at[1]};
        at += at[2] == ' ' ? 3 : 2;
    }
    return count;
}

const struct arg_spec *
step_args_positional(const struct arg_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (specs[i].is_required)
            return &specs[i];
    return count > 0 ? &specs[0] : NULL;
}

/* The nearer of two, `best` may be NULL; `least` is how far a name may be off. */
static const char *
nearer(struct str name, const char *candidate, const char *best, unsigned *least)
{
    const unsigned d = str_distance(name, str_of(candidate));

    if (d > *least || (best != NULL && d == *least))
        return best;
    *least = d;
    return candidate;
}

static unsigned
distance_allowed(struct str name)
{
    return name.len > 6 ? 3 : name.len > 3 ? 2 : 1;
}

static const char *
near(const struct step_type *table, size_t count, struct str name)
{
    unsigned least = distance_allowed(name);
    const char *best = NULL;

    for (size_t i = 0; i < count; i++)
        best = nearer(name, table[i].name, best, &least);
    return best;
}

const char *
step_name_near(struct str name)
{
    return near(steps, ARRAY_COUNT(steps), name);
}

const char *
when_name_near(struct str name)
{
    return near(conditions, ARRAY_COUNT(conditions), name);
}

const char *
option_name_near(struct str name)
{
    return near(options, ARRAY_COUNT(options), name);
}

const char *
parameter_name_near(struct str name)
{
    return near(parameters, ARRAY_COUNT(parameters), name);
}

const char *
trigger_name_near(struct str name)
{
    return near(triggers, ARRAY_COUNT(triggers), name);
}

const char *
name_near(const char *const *names, size_t count, struct str name)
{
    unsigned least = distance_allowed(name);
    const char *best = NULL;

    for (size_t i = 0; i < count; i++)
        best = nearer(name, names[i], best, &least);
    return best;
}

static const char *
type_word(char type)
{
    return type == 's' ? "a string" : type == 'i' ? "an integer" : "true or false";
}

/* Only literals have a type before the run. */
static bool
literal_fits(const struct node *n, char type)
{
    switch (n->type) {
    case N_TEXT:
    case N_GSTRING:
        return type == 's' || type == 'a';
    case N_INT:
        return type == 'i' || type == 'a';
    case N_BOOL:
        return type == 'b' || type == 'a';
    case N_DECIMAL:
    case N_LIST:
    case N_MAP:
        return type == 'a';
    default:
        return true;
    }
}

struct check {
    const struct node *call;
    const char *kind;
    struct diagnostics *d;
    const struct arg_spec *specs;
    size_t count;
    bool seen[STEP_ARGS_MAX];
};

static void
complain(const struct check *c, const struct node *at, const char *code, const char *text)
{
    char full[32];

    snprintf(full, sizeof(full), "E-%s%s", code[0] == '-' ? c->kind : "", code);
    diagnostics_add(c->d, at->line, at->column, full, "%s", text);
}

static void
check_value(struct check *c, size_t i, const struct node *value)
{
    char text[300];

    c->seen[i] = true;
    if (value->type == N_INT && value->wide != NULL) {
        complain(c, value, "BIGINT", "the number is beyond 64 bits");
    } else if (value->type == N_CLOSURE && c->specs[i].type != 'a') {
        snprintf(text, sizeof(text), "'" STR_FMT "' of '" STR_FMT "' must be a value, not a block",
                 STR_ARG(c->specs[i].name), STR_ARG(c->call->text));
        complain(c, value, "CLOSURE-ARG", text);
    } else if (!literal_fits(value, c->specs[i].type)) {
        snprintf(text, sizeof(text), "'" STR_FMT "' of '" STR_FMT "' must be %s",
                 STR_ARG(c->specs[i].name), STR_ARG(c->call->text), type_word(c->specs[i].type));
        complain(c, value, "PARAM-TYPE", text);
    }
}

static void
check_named(struct check *c, const struct node *arg)
{
    const struct arg_spec *near = NULL;
    char text[300];
    unsigned least = 4;

    if (arg->a != NULL)
        return; /* a computed name */
    for (size_t i = 0; i < c->count; i++) {
        if (str_equal(arg->text, c->specs[i].name)) {
            if (c->seen[i]) {
                snprintf(text, sizeof(text), "'" STR_FMT "' is given twice", STR_ARG(arg->text));
                complain(c, arg, "DUP-ARG", text);
            }
            check_value(c, i, arg->b);
            return;
        }
    }
    for (size_t i = 0; i < c->count; i++) {
        const unsigned d = str_distance(arg->text, c->specs[i].name);
        if (d < least) {
            least = d;
            near = &c->specs[i];
        }
    }
    if (near != NULL)
        snprintf(text, sizeof(text),
                 "'" STR_FMT "' has no argument '" STR_FMT "'; did you mean '" STR_FMT "'?",
                 STR_ARG(c->call->text), STR_ARG(arg->text), STR_ARG(near->name));
    else
        snprintf(text, sizeof(text), "'" STR_FMT "' has no argument '" STR_FMT "'",
                 STR_ARG(c->call->text), STR_ARG(arg->text));
    complain(c, arg, "-PARAM", text);
}

static void
check_positional(struct check *c, const struct node *value, size_t positional)
{
    const struct arg_spec *to = step_args_positional(c->specs, c->count);
    char text[300];

    if (to == NULL) {
        snprintf(text, sizeof(text), "'" STR_FMT "' takes no arguments", STR_ARG(c->call->text));
        complain(c, value, "ARG-COUNT", text);
    } else if (positional > 1) {
        snprintf(text, sizeof(text), "'" STR_FMT "' takes one unnamed argument; name the others",
                 STR_ARG(c->call->text));
        complain(c, value, "UNNAMED-ARGS", text);
    } else {
        check_value(c, (size_t)(to - c->specs), value);
    }
}

/* "[a: 1]" as the only argument stands for named ones, unless it carries $class. */
static const struct node *
map_as_arguments(const struct node *only)
{
    if (only == NULL || only->type != N_MAP || only->next != NULL)
        return NULL;
    for (const struct node *n = only->first; n != NULL; n = n->next)
        if (str_is(n->text, "$class") || n->a != NULL)
            return NULL;
    return only;
}

void
step_args_check(const struct node *call, const struct step_type *type, const char *kind,
                struct diagnostics *d)
{
    struct arg_spec specs[STEP_ARGS_MAX];
    struct check c = {.call = call, .kind = kind, .d = d, .specs = specs};
    const struct node *first = call->first, *map;
    size_t positional = 0, named = 0;
    char text[300];

    if (type->args == NULL)
        return;
    c.count = step_args_parse(type->args, specs);
    map = map_as_arguments(first);
    if (map != NULL && !(c.count == 1 && c.specs[0].type == 'a'))
        first = map->first;
    for (const struct node *n = first; n != NULL; n = n->next) {
        if (n->type == N_NAMED) {
            named++;
            check_named(&c, n);
        } else if (n->type == N_CLOSURE && n->is_block_arg) {
            continue; /* its block */
        } else {
            check_positional(&c, n, ++positional);
        }
    }
    if (named > 0 && positional > 0) {
        snprintf(text, sizeof(text), "'" STR_FMT "' mixes named and unnamed arguments",
                 STR_ARG(call->text));
        complain(&c, call, "MIXED-ARGS", text);
        return;
    }
    for (size_t i = 0; i < c.count; i++) {
        if (!c.specs[i].is_required || c.seen[i])
            continue;
        snprintf(text, sizeof(text), "'" STR_FMT "' needs '" STR_FMT "'", STR_ARG(call->text),
                 STR_ARG(c.specs[i].name));
        complain(&c, call, strcmp(kind, "WHEN") == 0 ? "-MISSING" : "-MISSING-PARAM", text);
    }
}
