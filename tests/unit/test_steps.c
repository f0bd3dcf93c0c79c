/* SPDX-License-Identifier: MIT */
/* The steps that read, write, pack and count files. */
#include "build_setup.h"
#include "pipeline/language/step_table.h"

/* Section 6 of the reference, and the steps of its sections 7 to 9. */
static const char *const steps_of_the_table[] = {
    "sh", "bat", "powershell", "pwsh", "echo", "println", "print", "error", "unstable", "warnError", "catchError", "retry",
    "timeout", "sleep", "waitUntil", "dir", "ws", "deleteDir", "cleanWs", "pwd", "isUnix", "fileExists", "readFile",
    "writeFile", "touch", "sha256", "sha1", "readJSON", "readYaml", "readProperties", "writeJSON", "writeYaml", "findFiles",
    "stash", "unstash", "archiveArtifacts", "archive", "junit", "git", "checkout", "withEnv", "withCredentials", "sshagent",
    "input", "build", "stage", "node", "parallel", "milestone", "lock", "properties", "timestamps", "ansiColor", "load",
    "library", "libraryResource", "tool", "step", "wrap", "mail", "emailext", "slackSend", "publishHTML", "withSonarQubeEnv",
    "waitForQualityGate", "recordIssues", "jacoco", "cobertura", "publishCoverage", "dependencyCheck",
    "nexusArtifactUploader", "rtUpload", "snsPublish", "withAWS", "ecrLogin", "awsIdentity", "s3Upload", "s3Download",
    "withMaven", "nodejs", "withKubeConfig", "container", "podTemplate", "githubNotify", "setGitHubPullRequestStatus",
    "withDockerRegistry", "withDockerServer", "withDockerContainer", "copyArtifacts", "throttle", "script"};

TEST(every_step_of_the_table_is_known)
{
    cleanup(build_done) struct build b = {0};
    cleanup(strbuf_done) struct strbuf text = {0};

    strbuf_add_cstr(&text, "node {\n");
    for (size_t i = 0; i < ARRAY_COUNT(steps_of_the_table); i++) {
        const char *name = steps_of_the_table[i];
        if (step_type_find(str_of(name)) == NULL)
            check_fail(__FILE__, __LINE__, "'%s' is not in the table of steps", name);
        if (strcmp(name, "script") != 0) /* which is a word of declarative files */
            strbuf_addf(&text, "try { %s() } catch (e) { echo '%s: ' + e.message }\n", name, name);
    }
    strbuf_add_cstr(&text, "try { noSuchStep() } catch (e) { echo 'at last: ' + e.message }\n}\n");
    build_init(&b);
    build_run(&b, strbuf_cstr(&text));
    const char *unknown = strstr(strbuf_cstr(&b.log), "No such DSL method");
    CHECK(unknown != NULL && strstr(strbuf_cstr(&b.log), "at last: ") < unknown);
    CHECK(strstr(unknown + 1, "No such DSL method") == NULL);
}

TEST(json_and_yaml_come_and_go)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "writeFile file: 'a.json', text: '{\"b\": [1, 2.5, null, true, \"x\"], \"a\": {\"n\": "
        "12345678901}}'\n"
        "writeFile file: 'a.yaml', text: '''base: &b {x: 1, y: yes}\n"
        "one:\n  <<: *b\n  y: \"yes\"\n  t: 2024-01-02\n  o: 017\n  v: 1.10\n'''\n"
        "script {\n"
        " def j = readJSON file: 'a.json'\n"
        " echo \"json ${j.b[1]} ${j.b[2]} ${j.a.n} ${j.b.size()} ${j}\"\n"
        " writeJSON file: 'o.json', json: [z: 1, a: [true, 'q\"']]\n"
        " echo 'text ' + readFile('o.json')\n"
        " echo 'back ' + writeJSON(json: j, returnText: true)\n"
        " def y = readYaml file: 'a.yaml'\n"
        " echo \"yaml ${y.one.x} ${y.one.y} ${y.base.y} ${y.one.t} ${y.one.o} ${y.one.v}\"\n"
        " echo \"many ${readYaml(text: 'a\\n---\\n- 2\\n')}\"\n"
        " writeYaml file: 'o.yaml', data: [k: 'yes', n: 3, l: ['a', [m: null]], s: 'x: y']\n"
        " echo readFile('o.yaml')\n"
        " try { writeYaml file: 'o.yaml', data: 1 } catch (e) { echo 'kept ' + "
        "e.message.contains('overwrite') }\n"
        " try { readJSON text: '{\"a\": }' } catch (e) { echo 'bad ' + e.message.contains('line') "
        "}\n"
        " try { readYaml text: 'a: [1' } catch (e) { echo 'bad yaml ' + e.message.contains('line') "
        "}\n"
        "}\n",
        RESULT_SUCCESS);

    CHECK(has(log, "json 2.5 null 12345678901 5 [b:[1, 2.5, null, true, x], a:[n:12345678901]]"));
    CHECK(has(log, "text {\"z\":1,\"a\":[true,\"q\\\"\"]}"));
    CHECK(has(log, "back {\"b\":[1,2.5,null,true,\"x\"],\"a\":{\"n\":12345678901}}"));
    CHECK(has(log, "yaml 1 yes true 2024-01-02 15 1.10"));
    CHECK(has(log, "many [a, [2]]"));
    CHECK(strstr(log, "k: 'yes'\nn: 3\nl:\n- a\n- m: null\ns: 'x: y'\n") != NULL);
    CHECK(has(log, "kept true"));
    CHECK(has(log, "bad true"));
    CHECK(has(log, "bad yaml true"));
}

TEST(a_role_without_credentials_is_not_assumed)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "writeFile file: 'aws', text: '#!/bin/sh\\necho \"{}\"\\n'\n"
        "sh 'chmod +x aws'\n"
        "withEnv([\"PATH=${pwd()}:${env.PATH}\"]) { script {\n"
        " try { withAWS(role: 'arn:aws:iam::000000000000:role/x') { echo 'in it' } } catch (e) { echo \"none: ${e.message}\" }\n"
        "} }\n",
        RESULT_SUCCESS);

    CHECK(has(log, "none: aws sts assume-role answered without credentials"));
    CHECK(strstr(log, "in it") == NULL && strstr(log, "Assumed role") == NULL);
}

TEST(numbers_come_and_go_with_all_their_digits)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "script {\n"
        " def text = '[1180591620717411303424,0.12345678901234567890,1.10,1E+400,-5,3000000000]'\n"
        " def j = readJSON text: text\n"
        " echo \"json ${j} ${j[0] == 2 ** 70} ${writeJSON(json: j, returnText: true) == text}\"\n"
        " def yaml = writeYaml data: j, returnText: true\n"
        " def y = readYaml text: yaml + '- 0x400000000000000000\\n- 0200000000000000000000000'\n"
        " echo \"yaml ${y[0..5] == j} ${y[6] == j[0]} ${y[7] == j[0]} ${y[6].class.simpleName}\"\n"
        " try { readJSON text: '[' + '1' * 100000 + ']' } catch (e) { echo e.message }\n"
        " try { readJSON text: '[1' + ',1' * 1000000 + ']' } catch (e) { echo e.message }\n"
        " try { readJSON text: '{\"a\": 1, x}' } catch (e) { echo e.message }\n"
        "}\n",
        RESULT_SUCCESS);

    CHECK(has(log, "json [1180591620717411303424, 0.12345678901234567890, 1.10, 1E+400, -5, "
                   "3000000000] true true"));
    CHECK(has(log, "yaml true true true BigInteger"));
    CHECK(strstr(log, "or a number of more than 78914 digits") != NULL);
    CHECK(strstr(log, "more than 1000000 of them in a list or map") != NULL);
    CHECK(strstr(log, "column 10: ") != NULL);
}

TEST(yaml_that_would_explode_is_refused)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "script {\n"
        " def t = 'a: &a [1]\\n'\n"
        " t += 'b: [' + (['*a'] * 60).join(', ') + ']\\n'\n"
        " try { readYaml text: t } catch (e) { echo 'aliases ' + e.message.contains('aliases') }\n"
        " try { readYaml text: ('[' * 100) } catch (e) { echo 'deep ' + e.message.contains('deep') "
        "}\n"
        " t = 'a0: &a0 [1]\\n'\n"
        " for (i in 1..30) { t += \"a${i}: &a${i} [*a${i - 1}, *a${i - 1}]\\n\" }\n"
        " try { readYaml text: t } catch (e) { echo 'many ' + e.message.contains('aliases') }\n"
        " t = 'a0: &a0 [1]\\n'\n"
        " for (i in 1..22) { t += \"a${i}: &a${i} [*a${i - 1}, *a${i - 1}]\\n\" }\n"
        " def y = readYaml text: t + '? *a22\\n: x\\n? *a21\\n: y\\n'\n"
        " echo \"keys ${y.size()} ${y[y.a22]} ${y[y.a21]}\"\n"
        " try { writeYaml returnText: true, data: y } catch (e) { echo 'written ' + e.message }\n"
        " try { writeJSON returnText: true, json: y } catch (e) { echo 'json ' + e.message }\n"
        "}\n",
        RESULT_SUCCESS);

    CHECK(has(log, "aliases true"));
    CHECK(has(log, "deep true"));
    CHECK(has(log, "many true"));
    CHECK(has(log, "keys 25 x y"));
    CHECK(has(log, "written writeYaml: the value is too large"));
    CHECK(has(log, "json the value is nested too deeply, or too large"));
}

TEST(files_of_many_keys_and_references_are_read_in_time)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "script {\n"
        " def t = new StringBuilder('{')\n"
        " for (int i = 0; i < 100000; i++) { t << '\"k' << i << '\":' << i << ',' }\n"
        " def text = t.toString() * 1\n"
        " def j = readJSON text: text + '\"end\": true}'\n"
        " echo \"json ${j.size()} ${j.k99999} ${j.keySet()[7]} ${j.end}\"\n"
        " def p = readProperties text: 'a=' + '${' * 1000000 + '\\nb=${c}${a\\nc=3', interpolate: true\n"
        " echo \"properties ${p.a.size()} ${p.b}\"\n"
        " try { readProperties text: 'a=' + '${' * 1000000 + '}\\n' + 'k' * 2000000 + '=1', interpolate: true\n"
        " } catch (e) { echo e.message }\n"
        "}\n",
        RESULT_SUCCESS);

    CHECK(has(log, "json 100001 99999 k7 true"));
    CHECK(has(log, "properties 2000000 3${a"));
    CHECK(has(log, "readProperties: the references in the values grow beyond bounds"));
}

TEST(properties_csv_and_poms_are_read)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "writeFile file: 'a.properties', text: '''# no\n! no\nversion = 1.2.3\nname:app\n"
        "path=/x\\\\\n   /y\nurl=http\\\\://h\nuni=\\\\u00e9\\\\ud83d\\\\ude00\\\\ud83d\\\\n\\\\uXYZW\nfull=${name}-${version}\n'''\n"
        "writeFile file: 'pom.xml', text: '<project "
        "xmlns=\"http://maven.apache.org/POM/4.0.0\"><parent><version>9</version></"
        "parent><artifactId>app</"
        "artifactId><version>1.0</version><properties><java.version>17</java.version></"
        "properties><dependencies><dependency><artifactId>d</artifactId></dependency></"
        "dependencies></project>'\n"
        "script {\n"
        " def p = readProperties file: 'a.properties', defaults: [extra: 'e', name: 'no']\n"
        " echo \"props ${p.version} ${p['name']} ${p.path} ${p.url} ${p.uni.replace('\\n', '|')} ${p.full} "
        "${p.extra}\"\n"
        " echo 'full ' + readProperties(file: 'a.properties', interpolate: true).full\n"
        " def c = readCSV text: 'a,\"b \"\"q\"\", c\"\\r\\n1,,3\\n'\n"
        " echo \"csv ${c.size()} ${c[0][1]} ${c[1].size()} [${c[1][1]}]\"\n"
        " writeCSV file: 'o.csv', records: [['a,b', 1], ['c', 'd']]\n"
        " echo readFile('o.csv').replace('\\r\\n', ';')\n"
        " def m = readMavenPom()\n"
        " echo \"pom ${m.artifactId} ${m.version} ${m.groupId} ${m.packaging} "
        "${m.properties['java.version']} ${m.dependencies[0].artifactId} ${m.parent.version}\"\n"
        " try { readMavenPom file: 'a.properties' } catch (e) { echo 'no pom' }\n"
        " def chain = (1..12).collect { 'k' + it + '=' + ('${k' + (it + 1) + '}') * 20 }.join('\\n')\n"
        " try { readProperties text: chain + '\\nk13=', interpolate: true } "
        "catch (e) { echo e.message }\n"
        " echo 'circle ' + readProperties(text: 'a=<${a}>', interpolate: true).a.size()\n"
        " try { sh([(1): 2]) } catch (IllegalArgumentException e) { echo e.message }\n"
        "}\n",
        RESULT_SUCCESS);

    CHECK(has(log, "props 1.2.3 app /x/y http://h é😀\uFFFD|uXYZW ${name}-${version} e"));
    CHECK(has(log, "full app-1.2.3"));
    CHECK(has(log, "csv 2 b \"q\", c 3 []"));
    CHECK(has(log, "\"a,b\",1;c,d;"));
    CHECK(has(log, "pom app 1.0 null jar 17 d 9"));
    CHECK(has(log, "no pom"));
    CHECK(has(log, "readProperties: the references in the values grow beyond bounds"));
    CHECK(has(log, "circle 38"));
    CHECK(has(log, "'sh' has no argument '1'"));
}

TEST(archives_are_packed_and_unpacked_below_their_folder)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "sh 'mkdir -p src/x ../out; echo one > src/1.txt; echo two > src/x/2.txt; ln -s 1.txt "
        "src/l; echo evil > ../evil; tar -cPf evil.tar ../evil; rm ../evil'\n"
        "zip zipFile: 'a.zip', dir: 'src', glob: '**/*.txt', archive: true\n"
        "unzip zipFile: 'a.zip', dir: 'back'\n"
        "sh 'cat back/1.txt back/x/2.txt; cmp a.zip ../keep/artifacts/a.zip && echo kept'\n"
        "tar file: 'a.tgz', dir: 'src'\n"
        "untar file: 'a.tgz', dir: 'back2', glob: '**'\n"
        "sh 'gzip -t < a.tgz && readlink back2/l'\n"
        "script {\n"
        " echo 'read ' + unzip(zipFile: 'a.zip', read: true, glob: 'x/*')['x/2.txt'].trim()\n"
        " echo \"tests ${unzip(zipFile: 'a.zip', test: true)} ${unzip(zipFile: 'src/1.txt', test: "
        "true)}\"\n"
        " try { untar file: 'evil.tar' } catch (e) { echo e.message }\n"
        " try { zip zipFile: 'a.zip', dir: 'src' } catch (e) { echo 'there ' + "
        "e.message.contains('overwrite') }\n"
        " def f = findFiles(glob: 'src/**')\n"
        " echo \"found ${f.collect { it.path }} ${f[0].name} ${f[0].length} ${f[0].directory}\"\n"
        " echo 'sha1 ' + sha1('src/1.txt')\n"
        "}\n"
        "sh '[ ! -e ../evil ] && echo nothing outside'\n"
        "touch file: 't', timestamp: 86400000\n"
        "sh 'echo mtime $(stat -c %Y t)'\n",
        RESULT_SUCCESS);

    CHECK(has(log, "one"));
    CHECK(has(log, "two"));
    CHECK(has(log, "kept"));
    CHECK(has(log, "1.txt"));
    CHECK(has(log, "read two"));
    CHECK(has(log, "tests true false"));
    CHECK(has(log, "the archive's entry '../evil' leads out of its folder"));
    CHECK(has(log, "there true"));
    CHECK(has(log, "found [src/1.txt, src/l, src/x/2.txt] 1.txt 4 false"));
    CHECK(has(log, "sha1 c7059bb19433cc3cabaa6236c83d56668a843dd2"));
    CHECK(has(log, "nothing outside"));
    CHECK(has(log, "mtime 86400"));
}

TEST(reports_are_counted_and_their_failures_named)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "writeFile file: 'r/a.xml', text: '<testsuites><testsuite><testcase classname=\"c\" "
        "name=\"good\"/><testcase classname=\"c.D\" name=\"bad\"><failure message=\"was "
        "&lt;1&gt;\"/>"
        "</testcase></testsuite></testsuites>'\n"
        "writeFile file: 'r/b.xml', text: '<testsuite><testcase "
        "name=\"odd\"><error><![CDATA[<failure>]]></error></testcase><testcase "
        "name=\"s\"><skipped/></testcase></testsuite>'\n"
        "script { def r = junit 'r/*.xml'; echo \"r $r.totalCount $r.failCount $r.skipCount "
        "$r.passCount\" }\n"
        "writeFile file: 'bomb.xml', text: '<!DOCTYPE a [<!ENTITY x \"y\">]><testsuite/>'\n"
        "script {\n"
        " try { junit 'bomb.xml' } catch (e) { echo e.message }\n"
        " try { junit 'none*.xml' } catch (e) { echo e.message }\n"
        "}\n"
        "junit testResults: 'none*.xml', allowEmptyResults: true\n",
        RESULT_UNSTABLE);

    CHECK(has(log, "Failed: c.D.bad: was <1>"));
    CHECK(has(log, "Failed: odd: <failure>"));
    CHECK(has(log, "r 4 2 1 1"));
    CHECK(strstr(log, "'bomb.xml' is not a JUnit report: line 1: it declares entities") != NULL);
    CHECK(has(log, "No test report files were found. Configuration error?"));
}
