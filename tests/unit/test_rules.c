/* SPDX-License-Identifier: MIT */
/* The rules of declarative Jenkinsfiles: for each, a file that breaks it and one beside it that
 * does not.  A row is the code, the part that is wrong and, where there is one, the part that is
 * right. */
#include <stdlib.h>
#include "check.h"
#include "pipeline/language/jenkinsfile.h"

enum where { FILE_, TOP, STAGES, STAGE, STEPS };

struct rule {
    const char *code;
    enum where where;
    const char *wrong, *right;
};

#define OK_STAGES "stages { stage('a') { steps { echo 'x' } } }"

static const struct rule rules[] = {
    /* structure */
    {"E-MISSING-AGENT", FILE_, "pipeline { " OK_STAGES " }",
     "pipeline { agent any; " OK_STAGES " }"},
    {"E-MISSING-STAGES", FILE_, "pipeline { agent any }", NULL},
    {"E-NO-STAGES", FILE_, "pipeline { agent any; stages { } }", NULL},
    {"E-NO-STAGES", STAGES, "stage('b') { stages { } }",
     "stage('b') { stages { stage('c') { steps { echo 'x' } } } }"},
    {"E-NO-STAGES", STAGES, "stage('b') { parallel { } }", NULL},
    {"E-STAGE-EXPECTED", STAGES, "echo 'x'", NULL},
    {"E-STAGE-EXPECTED", STAGES, "stages { }", NULL},
    {"E-STAGE-NAME", STAGES, "stage { steps { echo 'x' } }", "stage('b') { steps { echo 'x' } }"},
    {"E-STAGE-NAME", STAGES, "stage('') { steps { echo 'x' } }", NULL},
    {"E-STAGE-NAME-LITERAL", STAGES, "stage(\"${X}\") { steps { echo 'x' } }",
     "stage(\"b\") { steps { echo 'x' } }"},
    {"E-STAGE-NAME-LITERAL", STAGES, "stage('a' + 'b') { steps { echo 'x' } }", NULL},
    {"E-DUP-STAGE", STAGES, "stage('a') { steps { echo 'x' } }",
     "stage('b') { stages { stage('a') { steps { echo 'x' } } } }"},
    {"E-NO-BODY", STAGES, "stage('b') { }", NULL},
    {"E-NO-BODY", STAGES, "stage('b') { post { always { echo 'x' } } }", NULL},
    {"E-TWO-BODIES", STAGES,
     "stage('b') { steps { echo 'x' }\n stages { stage('c') { steps { echo 'x' } } } }", NULL},
    {"E-NESTED-PARALLEL", STAGES,
     "stage('b') { parallel { stage('c') { stages { stage('d') { parallel { stage('e') { steps { "
     "echo 'x' } } } } } } } }",
     "stage('b') { parallel { stage('c') { stages { stage('d') { steps { echo 'x' } } } } } }"},
    {"E-NESTED-PARALLEL", STAGES,
     "stage('b') { matrix { axes { axis { name 'A'; values '1' } }\n stages { stage('c') { "
     "parallel { stage('d') { steps { echo 'x' } } } } } } }",
     NULL},
    {"E-AGENT-WITH-PARALLEL", STAGES,
     "stage('b') { agent any\n parallel { stage('c') { steps { echo 'x' } } } }", NULL},
    {"E-TOOLS-WITH-PARALLEL", STAGES,
     "stage('b') { tools { maven 'x' }\n parallel { stage('c') { steps { echo 'x' } } } }", NULL},
    {"E-BOOLEAN-EXPECTED", STAGES,
     "stage('b') { failFast 'yes'\n parallel { stage('c') { steps { echo 'x' } } } }",
     "stage('b') { failFast true\n parallel { stage('c') { steps { echo 'x' } } } }"},
    {"E-DUP-SECTION", TOP, "agent none", NULL},
    {"E-DUP-SECTION", STAGE, "steps { echo 'y' }", NULL},
    {"E-SECTION-DEF", TOP, "environment", NULL},
    {"E-SECTION-DEF", STAGE, "x = 1", NULL},
    {"E-UNKNOWN-SECTION", TOP, "optoins { timestamps() }", "options { timestamps() }"},
    {"E-UNKNOWN-SECTION", TOP, "when { branch 'x' }", NULL},
    {"E-UNKNOWN-STAGE-SECTION", STAGE, "triggers { cron('@daily') }", NULL},
    {"E-UNKNOWN-STAGE-SECTION", STAGE, "parameters { string(name: 'x') }", NULL},
    {"E-BLOCK-EXPECTED", TOP, "options 'x'", NULL},
    {"E-BLOCK-EXPECTED", TOP, "post()", NULL},
    {"E-RENAMED", TOP, "wrappers { timestamps() }", NULL},
    {"E-RENAMED", TOP, "jobProperties { x() }", NULL},
    {"E-RENAMED", TOP, "postBuild { always { echo 'x' } }", NULL},
    {"E-PIPELINE-NOT-TOP", FILE_, "node { pipeline { agent any; " OK_STAGES " } }",
     "node { echo 'x' }"},
    {"E-NO-STEPS", STAGES, "stage('b') { steps { } }", NULL},
    {"E-NO-STEPS", TOP, "post { always { } }", "post { always { echo 'x' } }"},
    {"E-OBJECT-CALL", FILE_, "pipeline { agent any " OK_STAGES " }", NULL},
    /* steps */
    {"E-STEP-EXPECTED", STEPS, "x = 1", "script { x = 1 }"},
    {"E-STEP-EXPECTED", STEPS, "def x = 1", NULL},
    {"E-STEP-EXPECTED", STEPS, "if (true) { echo 'x' }", "script { if (true) { echo 'x' } }"},
    {"E-STEP-EXPECTED", STEPS, "for (i in [1]) { echo 'x' }", NULL},
    {"E-STEP-EXPECTED", STEPS, "try { echo 'x' } catch (e) { }", NULL},
    {"E-STEP-EXPECTED", STEPS, "'text'", NULL},
    {"E-STEP-EXPECTED", STEPS, "deleteDir", "deleteDir()"},
    {"E-STEP-EXPECTED", STEPS, "dir('x') { y = 2 }", "dir('x') { echo 'y' }"},
    {"E-OBJECT-CALL", STEPS, "docker.build('x')", "echo foo.bar()"},
    {"E-OBJECT-CALL", STEPS, "timeout(1) { a.b() }", NULL},
    {"E-BLOCKED-STEP", STEPS, "stage('x') { echo 'y' }", "script { stage('x') { echo 'y' } }"},
    {"E-BLOCKED-STEP", STEPS, "properties([])", "script { properties([]) }"},
    {"E-BLOCKED-STEP", STEPS, "echo 'x'\nparallel(a: { echo 'y' })", NULL},
    {"E-BLOCKED-STEP", STEPS, "foo(node('x') { echo 'y' })", NULL},
    {"E-PARALLEL-BRANCH", STEPS, "parallel(a: 1)",
     "parallel(a: { echo 'x' }, b: { echo 'y' }, failFast: true)"},
    {"E-BOOLEAN-EXPECTED", STEPS, "parallel(a: { echo 'x' }, failFast: 'no')", NULL},
    {"E-NO-BODY", STEPS, "parallel()", NULL},
    {"E-STEP-PARAM", STEPS, "sh(scrip: 'x')", "sh(script: 'x', label: 'y')"},
    {"E-STEP-MISSING-PARAM", STEPS, "sh(returnStdout: true)", NULL},
    {"E-STEP-MISSING-PARAM", STEPS, "git branch: 'main'", "git url: 'x', branch: 'main'"},
    {"E-PARAM-TYPE", STEPS, "sleep 'x'", "sleep 5"},
    {"E-PARAM-TYPE", STEPS, "sh(script: 5)", "sh(script: x())"},
    {"E-PARAM-TYPE", STEPS, "sh(script: 'x', returnStatus: 'true')", NULL},
    {"E-MIXED-ARGS", STEPS, "sh('x', label: 'y')", NULL},
    {"E-UNNAMED-ARGS", STEPS, "echo 'x', 'y'", NULL},
    {"E-DUP-ARG", STEPS, "sh(script: 'x', script: 'y')", NULL},
    {"E-ARG-COUNT", STEPS, "deleteDir('x')", NULL},
    {"E-CLOSURE-ARG", STEPS, "sh(script: { 'x' })", NULL},
    {"E-BIGINT", STEPS, "sleep 99999999999999999999", NULL},
    {"E-BLOCK-EXPECTED", STEPS, "script 'x'", "script { echo 'x' }"},
    {"E-BLOCK-EXPECTED", STEPS, "dir('x')", NULL},
    {"E-BARE-DOLLAR", STEPS, "sh ${X}", "sh \"${X}\""},
    {NULL, STEPS, NULL, "nobodyKnowsThisStep(1, 2) { echo 'x' }"},
    {NULL, STEPS, NULL, "checkout([$class: 'GitSCM', branches: [[name: 'main']]])"},
    /* environment */
    {"E-EMPTY-ENV", TOP, "environment { }", "environment { A = 'x' }"},
    {"E-ENV-NV", TOP, "environment { echo 'x' }", NULL},
    {"E-ENV-NV", TOP, "environment { A += 'x' }", NULL},
    {"E-ENV-IDENT", TOP, "environment { $A = 'x' }", "environment { _a1 = 'x' }"},
    {"E-ENV-IDENT", TOP, "environment { a.b = 'x' }", NULL},
    {"E-DUP-ENV", TOP, "environment { A = 'x'; A = 'y' }", NULL},
    {"E-ENV-VALUE", TOP, "environment { A = B }", "environment { A = \"${B}\" }"},
    {"E-ENV-VALUE", TOP, "environment { A = params.B }", "environment { A = foo.bar().trim() }"},
    {"E-ENV-VALUE", TOP, "environment { A = x ? 'y' : 'z' }",
     "environment { A = \"${x ? 'y' : 'z'}\" }"},
    {"E-ENV-VALUE", TOP, "environment { A = ['x'] }", NULL},
    {"E-ENV-VALUE", TOP, "environment { A = credentials(x) }",
     "environment { A = credentials(\"${x}\") }"},
    {"E-ENV-OP", TOP, "environment { A = 2 * 3 }", "environment { A = -1 }"},
    {"E-ENV-CONCAT", TOP, "environment { A = 'x' + B }", "environment { A = 'x' + 1 + \"${B}\" }"},
    {"E-BARE-DOLLAR", TOP, "environment { A = ${B} }", NULL},
    /* options, parameters, triggers, tools, libraries */
    {"E-EMPTY-SECTION", TOP, "options { }", NULL},
    {"E-EMPTY-SECTION", TOP, "parameters { }", NULL},
    {"E-EMPTY-SECTION", TOP, "triggers { }", NULL},
    {"E-EMPTY-TOOLS", TOP, "tools { }", NULL},
    {"E-ENTRY-EXPECTED", TOP, "options { x = 1 }", NULL},
    {"E-MAP-NOT-ALLOWED", TOP, "options { [a: 1] }", NULL},
    {"E-BLOCK-FORBIDDEN", TOP, "options { timeout(1) { } }", "options { timeout(1) }"},
    {"E-UNKNOWN-TYPE", TOP, "options { timeouts(1) }", NULL},
    {"E-UNKNOWN-TYPE", TOP, "triggers { crom('x') }", "triggers { cron('H * * * *') }"},
    {"E-UNKNOWN-TYPE", TOP, "parameters { strin(name: 'x') }",
     "parameters { string(name: 'x'); string(name: 'y') }"},
    {"E-UNKNOWN-TYPE", TOP, "tools { mavn 'x' }", "tools { maven 'x' }"},
    {"E-UNKNOWN-TYPE", STAGE, "options { skipStagesAfterUnstable() }",
     "options { retry(2); skipDefaultCheckout() }"},
    {"E-DUP-ENTRY", TOP, "options { timestamps(); timestamps() }", NULL},
    {"E-DUP-ENTRY", TOP, "triggers { cron('x'); cron('y') }", NULL},
    {"E-PARAMS-TRIGGERS-IN-OPTIONS", TOP, "options { triggers { cron('x') } }", NULL},
    {"E-OPTION-PARAM", TOP, "options { timeout(tiem: 1) }", NULL},
    {"E-OPTION-MISSING-PARAM", TOP, "options { timeout(unit: 'HOURS') }", NULL},
    {"E-PARAM-TYPE", TOP, "parameters { booleanParam(name: 'x', defaultValue: 'true') }",
     "parameters { booleanParam(name: 'x', defaultValue: true) }"},
    {"E-PARAMETER-MISSING-PARAM", TOP, "parameters { string(defaultValue: 'x') }", NULL},
    {"E-TOOL-DEF", TOP, "tools { maven() }", NULL},
    {"E-LIB-EXPECTED", TOP, "libraries { lob('x') }", "libraries { lib('x@v1') }"},
    /* post */
    {"E-POST-CONDITION", TOP, "post { allways { echo 'x' } }", NULL},
    {"E-POST-CONTENT", TOP, "post { always }", NULL},
    {"E-POST-CONTENT", TOP, "post { }", NULL},
    {"E-DUP-POST", TOP, "post { always { echo 'x' }\n always { echo 'y' } }", NULL},
    {"E-STEP-EXPECTED", TOP, "post { always { x = 1 } }", NULL},
    /* agent */
    {"E-ONE-AGENT", STAGE, "agent { label 'x'; docker 'y' }", "agent { docker 'y' }"},
    {"E-AGENT-EXPECTED", STAGE, "agent { }", NULL},
    {"E-INVALID-AGENT", STAGE, "agent anny", "agent none"},
    {"E-UNKNOWN-AGENT", STAGE, "agent { dokcer 'x' }", NULL},
    {"E-AGENT-PARAM", STAGE, "agent { docker { image 'x'; arg 'y' } }",
     "agent { docker { image 'x'; args 'y' } }"},
    {"E-AGENT-MISSING-PARAM", STAGE, "agent { docker { args 'y' } }", NULL},
    {NULL, STAGE, NULL, "agent { node { label 'x'; customWorkspace '/y' } }"},
    {NULL, STAGE, NULL, "agent { dockerfile true }"},
    {NULL, STAGE, NULL, "agent { dockerfile { filename 'x'; dir 'y' } }"},
    {NULL, STAGE, NULL, "agent { kubernetes { yaml 'x' } }"},
    /* when */
    {"E-EMPTY-WHEN", STAGE, "when { beforeAgent true }", "when { beforeAgent true; branch 'x' }"},
    {"E-BOOLEAN-EXPECTED", STAGE, "when { beforeAgent 'x'; branch 'y' }", NULL},
    {"E-WHEN-EXPECTED", STAGE, "when { x = 1 }", NULL},
    {"E-UNKNOWN-WHEN", STAGE, "when { brunch 'x' }", "when { expression { true } }"},
    {"E-UNKNOWN-WHEN", STAGE, "when { allOf { beforeAgent true } }", NULL},
    {"E-WHEN-NO-CHILD", STAGE, "when { anyOf { } }", "when { anyOf { branch 'x'; tag 'y' } }"},
    {"E-WHEN-CHILD-COUNT", STAGE, "when { not { branch 'x'; tag 'y' } }",
     "when { not { branch 'x' } }"},
    {"E-WHEN-NESTED-ARGS", STAGE, "when { not('x') { branch 'y' } }", NULL},
    {"E-WHEN-NO-NESTING", STAGE, "when { branch { tag 'x' } }", NULL},
    {"E-WHEN-PARAM", STAGE, "when { environment nam: 'x', value: 'y' }",
     "when { environment name: 'x', value: 'y' }"},
    {"E-WHEN-MISSING", STAGE, "when { environment name: 'x' }", NULL},
    {"E-WHEN-PARAM", STAGE, "when { changelog '(' }", "when { changelog '^fix.*' }"},
    {"E-WHEN-PARAM", STAGE, "when { changelog '\\\\Cx' }", "when { changelog '\\\\dx' }"},
    {"E-PARAM-TYPE", STAGE, "when { branch 5 }",
     "when { branch pattern: 'x', comparator: 'REGEXP' }"},
    /* input, matrix */
    {"E-INPUT-MESSAGE", STAGE, "input { ok 'x' }", "input { message 'x'; ok 'y' }"},
    {"E-INPUT-FIELD", STAGE, "input { message 'x'; okk 'y' }", "input 'x'"},
    {"E-MATRIX-MISSING", STAGES, "stage('b') { matrix { axes { axis { name 'A'; values 'x' } } } }",
     NULL},
    {"E-MATRIX-MISSING", STAGES, "stage('b') { matrix { " OK_STAGES " } }", NULL},
    {"E-NO-AXES", STAGES, "stage('b') { matrix { axes { }\n" OK_STAGES " } }",
     "stage('b') { matrix { axes { axis { name 'A'; values 'x', 'y' } }\n" OK_STAGES " } }"},
    {"E-AXIS-MISSING", STAGES,
     "stage('b') { matrix { axes { axis { name 'A' } }\n" OK_STAGES " } }", NULL},
    {"E-AXIS-NAME-LITERAL", STAGES,
     "stage('b') { matrix { axes { axis { name \"${A}\"; values 'x' } }\n" OK_STAGES " } }", NULL},
    {"E-ENV-IDENT", STAGES,
     "stage('b') { matrix { axes { axis { name 'A-B'; values 'x' } }\n" OK_STAGES " } }", NULL},
    {"E-AXIS-VALUE-LITERAL", STAGES,
     "stage('b') { matrix { axes { axis { name 'A'; values \"${x}\" } }\n" OK_STAGES " } }", NULL},
    {"E-DUP-AXIS-VALUE", STAGES,
     "stage('b') { matrix { axes { axis { name 'A'; values 'x', 'x' } }\n" OK_STAGES " } }", NULL},
    {"E-DUP-AXIS", STAGES,
     "stage('b') { matrix { axes { axis { name 'A'; values 'x' }\n axis { name 'A'; values 'y' } "
     "}\n" OK_STAGES " } }",
     NULL},
    {"E-NO-EXCLUDES", STAGES,
     "stage('b') { matrix { axes { axis { name 'A'; values 'x' } }\n excludes { }\n" OK_STAGES
     " } }",
     NULL},
    {"E-AXIS-BOTH", STAGES,
     "stage('b') { matrix { axes { axis { name 'A'; values 'x' } }\n excludes { exclude { axis { "
     "name 'A'; values 'x'; notValues 'y' } } }\n" OK_STAGES " } }",
     "stage('b') { matrix { axes { axis { name 'A'; values 'x' } }\n excludes { exclude { axis { "
     "name 'A'; notValues 'y' } } }\n" OK_STAGES " } }"},
    {"E-EMPTY-ENV", STAGES,
     "stage('b') { matrix { axes { axis { name 'A'; values 'x' } }\n environment { }\n" OK_STAGES
     " } }",
     NULL},
    /* 3.2 and 3.3, what stands beside the first example of a rule */
    {"E-STAGE-EXPECTED", STAGES, "stage('b') { parallel { echo 'x' } }", NULL},
    {"E-DUP-STAGE", STAGES,
     "stage('b') { parallel { stage('c') { steps { echo 'x' } }\n stage('c') { steps { echo 'x' } } } }", NULL},
    {"E-TWO-BODIES", STAGES,
     "stage('b') { steps { echo 'x' }\n parallel { stage('c') { steps { echo 'x' } } } }", NULL},
    {"E-TWO-BODIES", STAGES,
     "stage('b') { parallel { stage('c') { steps { echo 'x' } } }\n matrix { axes { axis { name 'A'; values 'x' } }\n" OK_STAGES
     " } }", NULL},
    {"E-NESTED-PARALLEL", STAGES,
     "stage('b') { parallel { stage('c') { parallel { stage('d') { steps { echo 'x' } } } } } }", NULL},
    {"E-NESTED-PARALLEL", STAGES,
     "stage('b') { parallel { stage('c') { matrix { axes { axis { name 'A'; values 'x' } }\n" OK_STAGES " } } } }", NULL},
    {"E-AGENT-WITH-PARALLEL", STAGES,
     "stage('b') { agent any\n matrix { axes { axis { name 'A'; values 'x' } }\n" OK_STAGES " } }",
     "stage('b') { matrix { agent any\n axes { axis { name 'A'; values 'x' } }\n" OK_STAGES " } }"},
    {"E-TOOLS-WITH-PARALLEL", STAGES,
     "stage('b') { tools { maven 'x' }\n matrix { axes { axis { name 'A'; values 'x' } }\n" OK_STAGES " } }",
     "stage('b') { matrix { tools { maven 'x' }\n axes { axis { name 'A'; values 'x' } }\n" OK_STAGES " } }"},
    {"E-UNKNOWN-STAGE-SECTION", STAGE, "libraries { lib('x') }", NULL},
    {"E-UNKNOWN-SECTION", TOP, "input { message 'x' }", NULL},
    {"E-UNKNOWN-SECTION", TOP, "steps { echo 'x' }", NULL},
    {"E-DUP-SECTION", TOP, "post { always { echo 'x' } }\npost { always { echo 'x' } }", NULL},
    {"E-RENAMED", TOP, "properties { timestamps() }", NULL},
    {"E-RENAMED", TOP, "notifications { always { echo 'x' } }", NULL},
    {"E-BLOCK-EXPECTED", STAGE, "when 'x'", NULL},
    {"E-STEP-EXPECTED", STEPS, "while (false) { echo 'x' }", "script { while (false) { echo 'x' } }"},
    {"E-STEP-EXPECTED", STEPS, "switch (1) { case 1: echo 'x' }", NULL},
    {"E-STEP-EXPECTED", STEPS, "return", NULL},
    {"E-STEP-EXPECTED", STEPS, "assert true", NULL},
    {"E-STEP-EXPECTED", STEPS, "5", NULL},
    {"E-BLOCKED-STEP", STEPS, "dir('x') { stage('y') { echo 'z' } }", "dir('x') { node('y') { echo 'z' } }"},
    {"E-BLOCKED-STEP", TOP, "post { always { properties([]) } }", NULL},
    {"E-BLOCKED-STEP", STEPS, "foo(stage('x') { echo 'y' })", NULL},
    {"E-BLOCKED-STEP", STEPS, "foo(parallel(a: { echo 'y' }))", NULL},
    {"E-PARAM-TYPE", STEPS, "sh(script: true)", "sh([script: 'x', label: 'y'])"},
    {"E-PARAM-TYPE", STEPS, "retry('x') { echo 'y' }", "retry(n()) { echo 'y' }"},
    {"E-STEP-PARAM", TOP, "post { always { junit(testResult: 'x') } }", NULL},
    {"E-BLOCK-EXPECTED", STAGE, "when { expression 'x' }", NULL},
    {NULL, STEPS, NULL, "step([$class: 'X', a: 1, b: 2])"},
    {NULL, STEPS, NULL, "script { def x = 1; if (x) { node { stage('y') { parallel(a: { }) } } } }"},
    {"E-SYNTAX", TOP, "environment { \"A\" = 'x' }", NULL},
    {"E-SYNTAX", TOP, "environment { a-b = 'x' }", NULL},
    {"E-SYNTAX", TOP, "environment { 1X = 'x' }", NULL},
    {"E-ENV-VALUE", TOP, "environment { A = env.B }", "environment { A = \"${env.B}\" }"},
    {"E-ENV-VALUE", TOP, "environment { A = x ?: 'y' }", "environment { A = \"${x ?: 'y'}\" }"},
    {"E-ENV-CONCAT", TOP, "environment { A = 'x' + f() }", "environment { A = 5; B = true; C = \"\"\"x\"\"\"; D = sh(script: 'x') }"},
    {"E-ENV-OP", TOP, "environment { A = 'x' == 'y' }", NULL},
    {"E-DUP-ENV", STAGE, "environment { A = 'x'; B = 'z'; A = 'y' }", NULL},
    {"E-AGENT-PARAM", STAGE, "agent { dockerfile { filenam 'x' } }", "agent { label { label 'x'; customWorkspace 'y' } }"},
    {"E-AGENT-PARAM", STAGE, "agent { node { label 'x'; image 'y' } }", NULL},
    {"E-BLOCK-FORBIDDEN", TOP, "triggers { cron('x') { } }", NULL},
    {"E-BLOCK-FORBIDDEN", TOP, "parameters { string(name: 'x') { } }", NULL},
    {"E-MAP-NOT-ALLOWED", TOP, "triggers { [a: 1] }", NULL},
    {"E-ENTRY-EXPECTED", TOP, "triggers { x = 1 }", NULL},
    {"E-ENTRY-EXPECTED", TOP, "parameters { 'x' }", NULL},
    {"E-PARAMS-TRIGGERS-IN-OPTIONS", TOP, "options { parameters { string(name: 'x') } }", NULL},
    {"E-EMPTY-SECTION", TOP, "libraries { }", NULL},
    {"E-EMPTY-SECTION", STAGE, "options { }", NULL},
    {"E-UNKNOWN-TYPE", STAGE, "options { buildDiscarder(logRotator(numToKeepStr: '1')) }",
     "options { timeout(1); retry(2); timestamps(); ansiColor('xterm'); catchError(); warnError('x'); withEnv(['A=b']) }"},
    {"E-UNKNOWN-TYPE", STAGE, "options { disableConcurrentBuilds() }",
     "options { withCredentials([]); lock('x'); throttle(['x']); checkoutToSubdirectory('d') }"},
    {"E-UNKNOWN-TYPE", STAGE, "options { parallelsAlwaysFailFast() }", "options { waitUntil() }"},
    {"E-UNKNOWN-TYPE", STAGE, "options { quietPeriod(5) }", NULL},
    {"E-UNKNOWN-TYPE", STAGE, "options { disableRestartFromStage() }", NULL},
    {"E-TOOL-DEF", TOP, "tools { maven }", NULL},
    {"E-LIB-EXPECTED", TOP, "libraries { lib }", NULL},
    {NULL, TOP, NULL,
     "post { always { echo 'x' }\n changed { echo 'x' }\n fixed { echo 'x' }\n regression { echo 'x' }\n aborted { echo 'x' }\n "
     "success { echo 'x' }\n unsuccessful { echo 'x' }\n unstable { echo 'x' }\n failure { echo 'x' }\n notBuilt { echo 'x' }\n "
     "cleanup { echo 'x' } }"},
    {"E-BOOLEAN-EXPECTED", STAGE, "when { beforeInput x; branch 'y' }", "when { beforeInput true; beforeOptions true; branch 'y' }"},
    {"E-BOOLEAN-EXPECTED", STAGE, "when { beforeOptions 'true'; branch 'y' }", NULL},
    {"E-UNKNOWN-WHEN", STAGE, "when { not { beforeInput true } }", NULL},
    {"E-EMPTY-WHEN", STAGE, "when { }", NULL},
    {"E-WHEN-NO-CHILD", STAGE, "when { allOf { } }", NULL},
    {"E-WHEN-CHILD-COUNT", STAGE, "when { not { } }", NULL},
    {"E-WHEN-NESTED-ARGS", STAGE, "when { allOf('x') { branch 'y' } }", NULL},
    {"E-WHEN-NO-NESTING", STAGE, "when { environment { branch 'x' } }", NULL},
    {"E-WHEN-MISSING", STAGE, "when { equals expected: 1 }", "when { equals expected: 1, actual: x }"},
    {"E-DUP-ENTRY", STAGE, "input { message 'x'; message 'y' }",
     "input { message 'x'; id 'i'; ok 'o'; submitter 's'; submitterParameter 'p'; parameters { string(name: 'n') } }"},
    {"E-AXIS-MISSING", STAGES, "stage('b') { matrix { axes { axis { values 'x' } }\n" OK_STAGES " } }", NULL},
    {"E-NO-AXES", STAGES,
     "stage('b') { matrix { axes { axis { name 'A'; values 'x' } }\n excludes { exclude { } }\n" OK_STAGES " } }", NULL},
    /* syntax */
    {"E-SYNTAX", FILE_, "pipeline { agent any; stages { stage('a') { steps { echo \"$(x)\" } } } }",
     NULL},
    {"E-SYNTAX", FILE_, "@Library('x')\npipeline { agent any; " OK_STAGES " }",
     "@Library('x') _\npipeline { agent any; " OK_STAGES " }"},
    {"E-EMPTY", FILE_, "// nothing\n", NULL},
};

static char *
file_of(enum where where, const char *part)
{
    static const char *const forms[] = {
        [FILE_] = "%s",
        [TOP] = "pipeline {\nagent any\n%s\n" OK_STAGES "\n}\n",
        [STAGES] = "pipeline {\nagent any\nstages {\nstage('a') { steps { echo 'x' } }\n%s\n}\n}\n",
        [STAGE] =
            "pipeline {\nagent any\nstages {\nstage('a') {\n%s\nsteps { echo 'x' }\n}\n}\n}\n",
        [STEPS] = "pipeline {\nagent any\nstages {\nstage('a') {\nsteps {\n%s\n}\n}\n}\n}\n",
    };
    const char *mark = strstr(forms[where], "%s");

    return text_format("%.*s%s%s", (int)(mark - forms[where]), forms[where], part, mark + 2);
}

/* All that is found, "line: message [code]"; "" if the file is right. */
static char *
found_in(const char *text)
{
    struct diagnostics *d = mem_new(sizeof(*d));
    struct jenkinsfile *j = jenkinsfile_parse(str_of(text), d);
    cleanup(strbuf_done) struct strbuf out = {0};

    CHECK((j == NULL) == (d->count > 0));
    diagnostics_format(d, "J", &out);
    jenkinsfile_free(j);
    free(d);
    return strbuf_take(&out);
}

TEST(each_rule_refuses_and_accepts)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        const struct rule *r = &rules[i];
        if (r->code != NULL) {
            cleanup_free char *text = file_of(r->where, r->wrong);
            cleanup_free char *found = found_in(text);
            cleanup_free char *code = text_format("[%s]", r->code);
            if (found == NULL || strstr(found, code) == NULL) {
                printf("no %s in\n%s\n%s\n", code, text, found == NULL ? "" : found);
                wrong++;
            }
        }
        if (r->right != NULL) {
            cleanup_free char *text = file_of(r->where, r->right);
            cleanup_free char *found = found_in(text);
            if (found != NULL && found[0] != '\0') {
                printf("refused:\n%s\n%s\n", text, found);
                wrong++;
            }
        }
    }
    CHECK_EQ(wrong, 0);
}

TEST(unknown_names_get_the_nearest_known_one)
{
    static const struct {
        enum where where;
        const char *part, *hint;
    } rows[] = {
        {TOP, "optoins { timestamps() }", "did you mean 'options'?"},
        {STAGE, "wen { branch 'x' }", "did you mean 'when'?"},
        {STEPS, "sh(scrpt: 'x')", "did you mean 'script'?"},
        {TOP, "options { timout(1) }", "did you mean 'timeout'?"},
        {TOP, "triggers { crom('x') }", "did you mean 'cron'?"},
        {TOP, "parameters { strng(name: 'x') }", "did you mean 'string'?"},
        {TOP, "tools { mavn 'x' }", "did you mean 'maven'?"},
        {TOP, "post { allways { echo 'x' } }", "did you mean 'always'?"},
        {STAGE, "when { brnch 'x' }", "did you mean 'branch'?"},
        {STAGE, "agent { dokcer 'x' }", "did you mean 'docker'?"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup_free char *text = file_of(rows[i].where, rows[i].part);
        cleanup_free char *found = found_in(text);
        if (strstr(found, rows[i].hint) == NULL)
            check_fail(__FILE__, __LINE__, "no '%s' in\n%s\n%s", rows[i].hint, text, found);
    }
}
