/* SPDX-License-Identifier: MIT */
/* Sources, keys, tools and messages: steps that speak to others. */
#include "base/crypto.h"
#include "pipeline/secrets.h"
#include "build_setup.h"

#define REPOSITORY                                                                                 \
    "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; " \
    "mkdir ../repo && cd ../repo && git init -q -b main . && echo 1 > f && git add f && "          \
    "git commit -qm one && git tag v1 && echo 2 > f && git commit -qam two && "                    \
    "git checkout -qb feature/x && echo 3 > f && git commit -qam three && git checkout -q main"

TEST(repositories_are_checked_out_in_all_forms)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "sh '''" REPOSITORY "'''\n"
        "script { env.URL = sh(script: 'cd ../repo && pwd', returnStdout: true).trim(); env.WHICH "
        "= "
        "'feature/x' }\n"
        "dir('a') { script { def m = git url: \"$URL\", branch: 'main'; echo \"git "
        "${m.GIT_BRANCH} ${m.GIT_LOCAL_BRANCH} ${m.GIT_COMMIT.size()}\"; "
        "sh 'echo history $(git log --oneline | wc -l) tags $(git tag) on $(git branch "
        "--show-current) origin $(git remote get-url origin | sed s,.*/,,)' } }\n"
        "dir('b') { checkout scmGit(branches: [[name: '*/${WHICH}']], extensions: "
        "[cloneOption(shallow: true, depth: 1, noTags: true), localBranch('mine'), "
        "relativeTargetDirectory('sub')], userRemoteConfigs: [[url: \"file://$URL\"]])\n"
        " sh 'cd sub; echo shallow $(git log --oneline | wc -l) tags [$(git tag)] on $(git branch "
        "--show-current) content $(cat f)' }\n"
        "dir('c') { checkout([$class: 'GitSCM', branches: [[name: 'refs/tags/v1']], extensions: "
        "[[$class: 'CleanBeforeCheckout'], [$class: 'UserIdentity', name: 'n', email: 'e@f']], "
        "userRemoteConfigs: [[url: \"$URL\"]]])\n"
        " sh 'echo tag $(cat f) head [$(git branch --show-current)] user $(git config user.name)'\n"
        " sh 'echo dirt > dirt'\n"
        " script { def c = sh(script: 'git -C \"$URL\" rev-parse main~1', returnStdout: "
        "true).trim()\n"
        "  checkout([$class: 'GitSCM', branches: [[name: c]], extensions: [[$class: "
        "'CleanBeforeCheckout']], userRemoteConfigs: [[url: \"$URL\"]]]) }\n"
        " sh 'echo commit $(cat f) clean [$(ls dirt 2>/dev/null)]' }\n"
        "dir('d') { checkout scmGit(branches: [[name: 'v1']], extensions: [[$class: "
        "'WipeWorkspace'], "
        "[$class: 'Strange']], userRemoteConfigs: [[url: \"$URL\"]])\n sh 'echo named $(cat f)' }\n"
        "script {\n"
        " try { dir('e') { git url: \"$URL\", branch: 'nope' } } catch (e) { echo e.message }\n"
        " try { dir('e') { git url: '--upload-pack=x' } } catch (e) { echo 'dash ' + "
        "e.message.contains('start with') }\n"
        " def m = git url: \"$URL\"; echo 'own ' + (m.GIT_COMMIT == null)\n"
        "}\n",
        RESULT_SUCCESS);

    CHECK(has(log, "git origin/main main 40"));
    CHECK(has(log, "history 2 tags v1 on main origin repo"));
    CHECK(has(log, "shallow 1 tags [] on mine content 3"));
    CHECK(has(log, "tag 1 head [] user n"));
    CHECK(has(log, "commit 1 clean []"));
    CHECK(has(log, "named 1"));
    CHECK(strstr(log, "the extension 'Strange' of checkout is not supported") != NULL);
    CHECK(strstr(log, "git fetch failed with exit code") != NULL);
    CHECK(has(log, "dash true"));
    CHECK(has(log, "own true"));
}

static void
put(const struct build *b, const char *id, const char *json)
{
    cleanup_json struct json *j = json_parse(str_of(json), NULL);

    CHECK(j != NULL && secrets_set(b->config.secrets_dir, id, j, NULL, NULL));
}

static void
run_in(struct build *b, const char *steps)
{
    (void)steps_expect(b, steps, RESULT_SUCCESS);
}

TEST(credentials_reach_git_ssh_and_aws)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put(&b, "pw", "{\"kind\":\"password\",\"username\":\"ann\",\"password\":\"s3cr3t\"}");
    put(&b, "key", "{\"kind\":\"aws\",\"accessKeyId\":\"AKIAX\",\"secretAccessKey\":\"aws-sec\"}");
    cleanup_free char *key = text_format("%s/id", b.directory);
    const char *const argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N",
                                "phrase",     "-f", key,  NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 60000};
    struct process_result result = {0};
    cleanup(strbuf_done) struct strbuf pem = {0};
    CHECK(process_run(&spec, &result, NULL) && result.exit_code == 0);
    process_result_done(&result);
    CHECK(file_read(key, 10000, &pem, NULL));
    cleanup_json struct json *ssh = json_object();
    json_set(ssh, "kind", json_text("ssh"));
    json_set(ssh, "username", json_text("git"));
    json_set(ssh, "privateKey", json_str(strbuf_str(&pem)));
    json_set(ssh, "passphrase", json_text("phrase"));
    CHECK(secrets_set(b.config.secrets_dir, "ssh", ssh, NULL, NULL));
    run_in(
        &b,
        "withCredentials([gitUsernamePassword(credentialsId: 'pw')]) {\n"
        " sh 'echo user=$($GIT_ASKPASS \"Username for x\") word=$($GIT_ASKPASS \"Password for "
        "x\")' "
        "}\n"
        "script { try { dir('x') { git url: 'http://127.0.0.1:1/none.git', credentialsId: 'pw' } } "
        "catch (e) { echo e.message } }\n"
        "sshagent(['ssh']) { sh 'ssh-add -l | cut -d\" \" -f1,4; echo sock ${SSH_AUTH_SOCK##*/}' "
        "}\n"
        "sh 'echo after [$SSH_AUTH_SOCK]; ls -d /tmp/naru-ssh-$BUILD_COOKIE* 2>/dev/null | wc -l'\n"
        "withAWS(region: 'eu-west-1', credentials: 'key', profile: 'p', endpointUrl: 'http://e') "
        "{\n"
        " sh 'echo $AWS_REGION $AWS_DEFAULT_REGION $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY "
        "$AWS_PROFILE $AWS_ENDPOINT_URL'\n"
        " echo ecrLogin() }\n"
        "script { try { withAWS(policy: 'r') { } } catch (e) { echo e.message } }\n");
    log = strbuf_cstr(&b.log);
    CHECK(has(log, "user=ann word=****"));
    CHECK(strstr(log, "git fetch failed") != NULL);
    CHECK(strstr(log, "[ssh-agent] key 'ssh' added") != NULL);
    CHECK(strstr(log, "256 (ED25519)") != NULL);
    CHECK(has(log, "sock agent"));
    CHECK(has(log, "after []"));
    CHECK(has(log, "0"));
    CHECK(has(log, "eu-west-1 eu-west-1 AKIAX **** p http://e"));
    CHECK(strstr(log, "aws ecr get-login-password --region eu-west-1 | docker login") != NULL);
    CHECK(has(log, "withAWS: 'policy' is not supported; 'role' is"));
    CHECK(strstr(log, "s3cr3t") == NULL && strstr(log, "aws-sec") == NULL);
}

/* What STS answers, and which key asked for what. */
#define FAKE_AWS                                                                                                       \
    "#!/bin/sh\n"                                                                                                      \
    "echo \"$AWS_ACCESS_KEY_ID [$AWS_SESSION_TOKEN] $AWS_REGION $*\" >> \"$ASKED\"\n"                                   \
    "case $2 in\n"                                                                                                     \
    "get-caller-identity) echo '{\"UserId\":\"AIDA\",\"Account\":\"123456789012\",\"Arn\":\"arn:x\"}';;\n"               \
    "assume-role) case $* in *forbidden*) echo 'An error occurred (AccessDenied)' >&2; exit 254;; esac\n"              \
    " echo '{\"Credentials\":{\"AccessKeyId\":\"ASIAOFROLE\",\"SecretAccessKey\":\"role+secret\",\"SessionToken\":"        \
    "\"role-token\",\"Expiration\":\"2026\"},\"AssumedRoleUser\":{\"AssumedRoleId\":\"AROA1:s\",\"Arn\":\"arn:y\"}}';;\n" \
    "esac\n"

TEST(a_role_is_assumed_with_the_keys_around_it_and_its_secrets_are_hidden)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    put(&b, "key", "{\"kind\":\"aws\",\"accessKeyId\":\"AKIAX\",\"secretAccessKey\":\"aws-sec\"}");
    cleanup_free char *tools = text_format("%s/tools", b.directory), *asked = text_format("ASKED=%s/asked", b.directory);
    cleanup_free char *aws = text_format("%s/aws", tools);
    const char *const env[] = {asked, "AWS_ACCESS_KEY_ID=AKIAOFBUILD", "AWS_SECRET_ACCESS_KEY=of-build", NULL};
    CHECK(file_make_dirs(tools, 0700, NULL) && file_write_atomic(aws, STR(FAKE_AWS), 0700, NULL));
    b.config.tool_dir = tools;
    b.config.extra_env = env;
    b.config.job_name = "web/feature%2Fx of me";
    const char *log = steps_expect(
        &b,
        "withAWS(role: 'ship', region: 'eu-west-1') {\n"
        " sh 'echo one $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN $AWS_REGION'\n"
        " withAWS(role: 'other') { sh 'true' }\n"
        " withAWS(credentials: 'key') { sh 'echo two $AWS_ACCESS_KEY_ID [$AWS_SESSION_TOKEN]' } }\n"
        "sh 'echo after $AWS_ACCESS_KEY_ID [$AWS_SESSION_TOKEN]'\n"
        "withAWS(credentials: 'key', role: 'arn:aws:iam::1:role/a/b', roleSessionName: 'me', externalId: 'x y', duration: 900) "
        "{ sh 'true' }\n"
        "withAWS(roleAccount: '999999999999', role: 'r', region: 'eu-west-1') { sh 'true' }\n"
        "withCredentials([aws(credentialsId: 'key', roleArn: 'arn:aws:iam::1:role/c', roleSessionName: 'n', "
        "roleSessionDurationSeconds: 1800, accessKeyVariable: 'K', secretKeyVariable: 'S')]) {\n"
        " sh 'echo three $K $S $AWS_SESSION_TOKEN' }\n"
        "script { try { withAWS(role: 'forbidden') { echo 'in it' } } catch (e) { echo 'no: ' + e.message }\n"
        " echo awsIdentity().account\n"
        " echo \"asked\\n${readFile('../asked')}\" }\n",
        RESULT_SUCCESS);
    CHECK(has(log, "Assuming role ARN is arn:aws:iam::123456789012:role/ship"));
    CHECK(has(log, "Assumed role arn:aws:iam::123456789012:role/ship with id AROA1:s"));
    CHECK(has(log, "one ASIAOFROLE **** **** eu-west-1"));
    CHECK(has(log, "two AKIAX []"));
    CHECK(has(log, "after AKIAOFBUILD []"));
    CHECK(has(log, "three ASIAOFROLE **** ****"));
    CHECK(strstr(log, "An error occurred (AccessDenied)") != NULL && strstr(log, "in it") == NULL);
    CHECK(has(log, "no: aws failed with exit code 254"));
    CHECK(has(log, "123456789012"));
    CHECK(has(log, "AKIAOFBUILD [] eu-west-1 sts get-caller-identity --output json"));
    CHECK(has(log, "AKIAOFBUILD [] eu-west-1 sts assume-role --output json --role-arn arn:aws:iam::123456789012:role/ship "
                   "--role-session-name Jenkins-web-feature-2Fxofme-7"));
    CHECK(strstr(log, "ASIAOFROLE [****] eu-west-1 sts assume-role --output json --role-arn "
                      "arn:aws:iam::123456789012:role/other") != NULL);
    CHECK(has(log, "AKIAX []  sts assume-role --output json --role-arn arn:aws:iam::1:role/a/b --role-session-name me "
                   "--external-id x y --duration-seconds 900"));
    CHECK(strstr(log, "--role-arn arn:aws:iam::999999999999:role/r ") != NULL);
    CHECK(has(log, "AKIAX []  sts assume-role --output json --role-arn arn:aws:iam::1:role/c --role-session-name n "
                   "--duration-seconds 1800"));
    CHECK(strstr(log, "role+secret") == NULL && strstr(log, "role-token") == NULL);
}

TEST(tools_come_from_their_table_or_from_path)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    cleanup_free char *home = text_format("%s/home", b.directory);
    CHECK(file_make_dirs(home, 0755, NULL));
    put_file(&b, "home/tools.json", "{\"maven-3\": \"/opt/m\", \"node-20\": \"/opt/n\"}");
    b.config.home = home;
    log =
        build_expect(&b,
                     "pipeline {\nagent any\ntools { maven 'maven-3'\n jdk 'jdk17' }\nstages { "
                     "stage('A') { steps {\n"
                     "sh 'echo $M2_HOME $MAVEN_HOME [$JAVA_HOME] ${PATH%%:*}'\n"
                     "nodejs('node-20') { sh 'echo $NODEJS_HOME ${PATH%%:*}' }\n"
                     "withMaven(maven: 'maven-3', mavenOpts: '-Xmx1g') { sh 'echo $MAVEN_OPTS' }\n"
                     "script { echo tool('maven-3')\n echo tool(name: 'git', type: 'git')\n"
                     "try { tool 'gradle-99' } catch (e) { echo e.message } }\n"
                     "} } } }",
                     RESULT_SUCCESS);
    CHECK(has(log, "/opt/m /opt/m [] /opt/m/bin"));
    CHECK(strstr(log, "WARNING: the tool 'jdk17' (jdk) is taken from PATH") != NULL);
    CHECK(has(log, "/opt/n /opt/n/bin"));
    CHECK(has(log, "-Xmx1g"));
    CHECK(has(log, "/opt/m"));
    CHECK(has(log, "/usr"));
    CHECK(strstr(log, "there is no tool 'gradle-99'") != NULL);
}

/* Answers every request with what it was asked; and a little SMTP server. */
static const char server[] =
    "import http.server, socketserver, threading, sys\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self): self.do_POST()\n"
    "    def do_POST(self):\n"
    "        body = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()\n"
    "        with open('hooks', 'a') as f: f.write(self.path + ' ' + body + '\\n')\n"
    "        out = '|'.join([self.command, self.path, self.headers.get('X-A', ''), "
    "self.headers.get('Authorization', ''), self.headers.get('Content-Type') or '', "
    "body]).encode()\n"
    "        self.send_response(404 if 'missing' in self.path else 200)\n"
    "        self.send_header('Content-Length', str(len(out))); self.end_headers(); "
    "self.wfile.write(out)\n"
    "    def log_message(self, *a): pass\n"
    "class M(socketserver.StreamRequestHandler):\n"
    "    def handle(self):\n"
    "        say = lambda s: self.wfile.write((s + '\\r\\n').encode())\n"
    "        say('220 here')\n"
    "        data = False\n"
    "        with open('mails', 'a') as f:\n"
    "            for line in self.rfile:\n"
    "                line = line.decode().rstrip('\\r\\n')\n"
    "                f.write(line + '\\n'); f.flush()\n"
    "                if data:\n"
    "                    if line == '.': data = False; say('250 ok')\n"
    "                elif line == 'DATA': data = True; say('354 go')\n"
    "                elif line == 'QUIT': say('221 bye'); return\n"
    "                else: say('250 ok')\n"
    "h = http.server.ThreadingHTTPServer(('127.0.0.1', 0), H)\n"
    "m = socketserver.ThreadingTCPServer(('127.0.0.1', 0), M)\n"
    "threading.Thread(target=m.serve_forever, daemon=True).start()\n"
    "open('ports.new', 'w').write('%d %d' % (h.server_address[1], m.server_address[1]))\n"
    "import os; os.rename('ports.new', 'ports')\n"
    "h.serve_forever()\n";

TEST(messages_are_sent_or_said_to_be_skipped)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put_file(&b, "server.py", server);
    put(&b, "pw", "{\"kind\":\"password\",\"username\":\"ann\",\"password\":\"s3cr3t\"}");
    put(&b, "slack-token", "{\"kind\":\"text\",\"text\":\"T0/B0/xyz\"}");
    run_in(
        &b,
        "sh 'python3 ../server.py > /dev/null 2>&1 & while [ ! -e ports ]; do sleep 0.05; done'\n"
        "script {\n"
        " def p = readFile('ports').split(' ')\n"
        " env.WEB = \"http://127.0.0.1:${p[0]}\"\n"
        " def r = httpRequest url: \"$WEB/a\", httpMode: 'POST', contentType: 'APPLICATION_JSON', "
        "requestBody: '{\"x\":1}', customHeaders: [[name: 'X-A', value: 'hidden-v', maskValue: "
        "true]], "
        "authentication: 'pw', outputFile: 'out'\n"
        " echo \"answer ${r.status} ${r.content}\"\n"
        " echo 'file ' + readFile('out').contains('POST')\n"
        " echo \"length ${r.headers['Content-Length'][0]}\"\n"
        " try { httpRequest \"$WEB/missing\" } catch (e) { echo e.message }\n"
        " echo 'allowed ' + httpRequest(url: \"$WEB/missing\", validResponseCodes: '100:399,404', "
        "quiet: true).status\n"
        " try { httpRequest url: 'http://127.0.0.1:1/', timeout: 5 } catch (e) { echo 'refused ' + "
        "e.message.contains('127.0.0.1:1') }\n"
        " slackSend channel: '#c', color: 'good', message: 'all well'\n"
        " slackSend baseUrl: \"$WEB/services/\", tokenCredentialId: 'slack-token', channel: '#c', "
        "color: 'good', message: 'it went \"well\"'\n"
        " slackSend baseUrl: \"$WEB/missing/\", tokenCredentialId: 'slack-token', message: 'lost'\n"
        " echo readFile('hooks')\n"
        " mail to: 'x@y', subject: 'none', body: 'b'\n"
        " withEnv([\"NARU_SMTP_URL=smtp://127.0.0.1:${p[1]}\", 'NARU_MAIL_FROM=ci@here']) {\n"
        "  emailext to: 'Ann <ann@example.com>, cc:bob@example.com', subject: 'Grüße', body: "
        "'<b>x</b>', mimeType: 'text/html'\n"
        "  mail to: 'a@b', bcc: 'hidden@b', subject: 's', body: 'b'\n"
        " }\n"
        " echo readFile('mails')\n"
        " recordIssues tools: [java(), checkStyle(pattern: '**/x.xml')], qualityGates: [[threshold: 1, unstable: true]]\n"
        " publishCoverage adapters: [jacocoAdapter('x.xml')], sourceFileResolver: sourceFiles('STORE_LAST_BUILD')\n"
        " echo \"gate ${waitForQualityGate().status}\"\n"
        " withSonarQubeEnv('s') { echo 'in sonar' }\n"
        " step([$class: 'ArtifactArchiver', artifacts: 'out'])\n"
        " try { bat 'dir' } catch (e) { echo e.message }\n"
        "}\n"
        "publishHTML(target: [reportDir: '.', reportFiles: 'out', reportName: 'R'])\n"
        "sh 'ls ../keep/artifacts ../keep/artifacts/html/R | tr \"\\\\n\" \" \"; echo'\n");
    log = strbuf_cstr(&b.log);
    CHECK(has(log, "answer 200 POST|/a|****|Basic ****|application/json|{\"x\":1}"));
    CHECK(has(log, "file true"));
    CHECK(strstr(log, "\nlength ") != NULL);
    CHECK(has(log, "the response code 404 is not one of 100:399"));
    CHECK(has(log, "allowed 404"));
    CHECK(has(log, "refused true"));
    CHECK(has(log, "Skipped: slackSend has no webhook (naru secret set slack): all well"));
    CHECK(strstr(log, "/services/**** {\"channel\":\"#c\",\"attachments\":[{\"color\":\"good\"") !=
          NULL);
    CHECK(has(log, "WARNING: 'slackSend' was not sent: the webhook answered 404"));
    CHECK(has(log, "Skipped: 'mail' has no server (NARU_SMTP_URL): none"));
    CHECK(strstr(log, "RCPT TO:<ann@example.com>") != NULL);
    CHECK(strstr(log, "RCPT TO:<hidden@b>") != NULL && strstr(log, "To: a@b\n") != NULL);
    CHECK(has(log, "Subject: =?UTF-8?B?R3LDvMOfZQ==?="));
    CHECK(has(log, "Content-Type: text/html; charset=UTF-8"));
    CHECK(has(log, "Skipped: 'recordIssues' is a plugin's step and does nothing here"));
    CHECK(has(log, "gate OK"));
    CHECK(has(log, "in sonar"));
    CHECK(has(log, "'bat' is not supported: there is no Windows here; use sh"));
    CHECK(strstr(log, "server.py") == NULL || strstr(log, "s3cr3t") == NULL);
    CHECK(strstr(log, "hidden-v") == NULL && strstr(log, "T0/B0/xyz") == NULL);
}
