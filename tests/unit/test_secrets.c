/* SPDX-License-Identifier: MIT */
/* Secrets on disk, and what builds see of them. */
#include <errno.h>
#include <sys/stat.h>
#include "base/crypto.h"
#include "base/seal.h"
#include "pipeline/secrets.h"
#include "build_setup.h"

/* An RSA key of 2048 bits for tests, made by openssl genrsa; nothing trusts it. */
static struct strbuf
make_key(const char *directory)
{
    cleanup_free char *path = text_format("%s/rsa.pem", directory);
    const char *const argv[] = {"openssl", "genrsa", "-out", path, "2048", NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 60000};
    struct process_result result = {0};
    struct strbuf pem = {0};

    CHECK(process_run(&spec, &result, NULL) && result.exit_code == 0);
    process_result_done(&result);
    CHECK(file_read(path, 10000, &pem, NULL));
    return pem;
}

TEST(what_is_sealed_opens_with_its_key_and_context_only)
{
    unsigned char key[SEAL_KEY_LEN] = {1}, other[SEAL_KEY_LEN] = {2};
    cleanup(strbuf_done) struct strbuf sealed = {0}, again = {0}, out = {0};
    struct err err;

    seal(key, STR("a"), STR("the text"), &sealed);
    seal(key, STR("a"), STR("the text"), &again);
    CHECK_EQ(sealed.len, 8 + SEAL_EXTRA);
    CHECK(!str_equal(strbuf_str(&sealed), strbuf_str(&again)));
    CHECK(unseal(key, STR("a"), strbuf_str(&sealed), &out, &err));
    CHECK(str_is(strbuf_str(&out), "the text"));
    CHECK(!unseal(other, STR("a"), strbuf_str(&sealed), &out, &err));
    CHECK(!unseal(key, STR("b"), strbuf_str(&sealed), &out, &err));
    CHECK(!unseal(key, STR("a"), str_slice(strbuf_str(&sealed), 0, 20), &out, &err));
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.at[i] ^= 1;
        CHECK(!unseal(key, STR("a"), strbuf_str(&sealed), &out, &err));
        sealed.at[i] ^= 1;
    }
    CHECK(str_is(strbuf_str(&out), "the text"));
}

TEST(tokens_are_signed_by_rs256)
{
    cleanup(build_done) struct build b = {0};
    cleanup(strbuf_done) struct strbuf token = {0}, signature = {0}, pem = {0};
    struct str rest, part[3];
    struct err err;

    build_init(&b);
    pem = make_key(b.directory);
    CHECK(jwt_rs256(strbuf_str(&pem), STR("{\"iss\":\"7\"}"), &token, &err));
    rest = strbuf_str(&token);
    for (int i = 0; i < 3; i++)
        CHECK(str_split(&rest, '.', &part[i]));
    CHECK(str_is(part[0], "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9"));
    CHECK(str_is(part[1], "eyJpc3MiOiI3In0"));
    /* openssl checks the signature. */
    strbuf_add(&signature, part[2]);
    for (size_t i = 0; i < signature.len; i++)
        signature.at[i] = signature.at[i] == '-'   ? '+'
                          : signature.at[i] == '_' ? '/'
                                                   : signature.at[i];
    while (signature.len % 4 != 0)
        strbuf_add_char(&signature, '=');
    cleanup(strbuf_done) struct strbuf raw = {0};
    CHECK(base64_decode(&raw, strbuf_str(&signature)));
    cleanup_free char *data = text_format("%s/data", b.directory);
    cleanup_free char *sig = text_format("%s/sig", b.directory);
    cleanup_free char *key = text_format("%s/rsa.pem", b.directory);
    CHECK(file_write_atomic(data, str_range(token.at, part[2].at - 1), 0600, &err));
    CHECK(file_write_atomic(sig, strbuf_str(&raw), 0600, &err));
    const char *const argv[] = {"openssl",    "dgst", "-sha256", "-prverify", key,
                                "-signature", sig,    data,      NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 60000};
    struct process_result result = {0};
    CHECK(process_run(&spec, &result, NULL));
    CHECK_TEXT(strbuf_cstr(&result.output), "Verified OK\n");
    process_result_done(&result);
    CHECK(!jwt_rs256(STR("no key"), STR("{}"), &token, &err));
    CHECK(file_remove_tree(b.directory, NULL));
}

static struct json *
text_secret(const char *text)
{
    struct json *j = json_object();

    json_set(j, "kind", json_text("text"));
    json_set(j, "text", json_text(text));
    return j;
}

TEST(secrets_are_stored_listed_and_forgotten)
{
    cleanup(build_done) struct build b = {0};
    cleanup_json struct json *value = text_secret("the-value"), *back = NULL, *list = NULL;
    cleanup(strbuf_done) struct strbuf raw = {0};
    const char *dir;
    struct stat st;
    struct err err;

    build_init(&b);
    dir = b.config.secrets_dir;
    CHECK(secrets_set(dir, "b id", value, "words", &err) &&
          secrets_set(dir, "a", value, NULL, &err));
    back = secrets_get(dir, "b id", &err);
    CHECK_TEXT(json_get_cstr(back, "text", ""), "the-value");
    list = secrets_list(dir, &err);
    CHECK_EQ(json_size(list), 2);
    CHECK_TEXT(json_get_cstr(json_at(list, 0), "id", ""), "a");
    CHECK_TEXT(json_get_cstr(json_at(list, 1), "description", ""), "words");
    CHECK(json_get(json_at(list, 1), "sealed") == NULL);
    cleanup_free char *store = text_format("%s/store.json", dir);
    cleanup_free char *key = text_format("%s/key", dir);
    CHECK(file_read(store, 100000, &raw, &err));
    CHECK(strstr(strbuf_cstr(&raw), "the-value") == NULL);
    CHECK(stat(key, &st) == 0 && (st.st_mode & 0777) == 0600 && st.st_size == SEAL_KEY_LEN);
    CHECK(stat(store, &st) == 0 && (st.st_mode & 0777) == 0600);

    CHECK(secrets_delete(dir, "a", &err));
    CHECK(!secrets_delete(dir, "a", &err) && err.code == ERR_RESOURCE_NOT_FOUND);
    CHECK(secrets_get(dir, "a", &err) == NULL && err.code == ERR_RESOURCE_NOT_FOUND);
    CHECK(!secrets_set(dir, " x", value, NULL, &err) && !secrets_set(dir, "", value, NULL, &err));
    CHECK(chmod(key, 0644) == 0);
    CHECK(secrets_get(dir, "b id", &err) == NULL && err.code == ERR_ACCESS_DENIED);
    /* A lost key is not replaced while it seals something. */
    CHECK(unlink(key) == 0);
    CHECK(!secrets_set(dir, "c", value, NULL, &err) && stat(key, &st) != 0);
    CHECK(secrets_delete(dir, "b id", &err) && secrets_set(dir, "c", value, NULL, &err));
    /* Where nobody can look, nothing is said of what is there (to root no folder is closed). */
    cleanup_free char *below_a_file = text_format("%s/secrets", store);
    CHECK(secrets_list(below_a_file, &err) == NULL && err.sys_errno == ENOTDIR);
    CHECK(file_remove_tree(b.directory, NULL));
}

static void
put(const char *dir, const char *id, const char *json)
{
    cleanup_json struct json *j = json_parse(str_of(json), NULL);

    CHECK(j != NULL && secrets_set(dir, id, j, NULL, NULL));
}

TEST(all_bindings_bind_and_nothing_shows)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put(b.config.secrets_dir, "t", "{\"kind\":\"text\",\"text\":\"it's-secret\"}");
    put(b.config.secrets_dir, "p",
        "{\"kind\":\"password\",\"username\":\"ann\",\"password\":\"p4ss/w rd\"}");
    put(b.config.secrets_dir, "f",
        "{\"kind\":\"file\",\"name\":\"conf\",\"contentBase64\":\"AAEC\"}");
    put(b.config.secrets_dir, "k",
        "{\"kind\":\"ssh\",\"username\":\"git\",\"privateKey\":\"KEY\\n\",\"passphrase\":"
        "\"phrase\"}");
    put(b.config.secrets_dir, "a",
        "{\"kind\":\"aws\",\"accessKeyId\":\"AKIA-X\",\"secretAccessKey\":\"aws-secret\"}");
    put(b.config.secrets_dir, "c",
        "{\"kind\":\"certificate\",\"contentBase64\":\"AAEC\",\"password\":\"store-pw\",\"alias\":"
        "\"al\"}");
    build_run(
        &b, "pipeline {\nagent any\nstages { stage('A') { steps {\n"
            "withCredentials([string(credentialsId: 't', variable: 'T'),\n"
            " usernamePassword(credentialsId: 'p', usernameVariable: 'U', passwordVariable: 'P'),\n"
            " usernameColonPassword(credentialsId: 'p', variable: 'UP'),\n"
            " file(credentialsId: 'f', variable: 'F'),\n"
            " sshUserPrivateKey(credentialsId: 'k', keyFileVariable: 'K', usernameVariable: 'KU', "
            "passphraseVariable: 'KP'),\n"
            " [$class: 'AmazonWebServicesCredentialsBinding', credentialsId: 'a'],\n"
            " [$class: 'UsernamePasswordMultiBinding', credentialsId: 'p', usernameVariable: 'U2', "
            "passwordVariable: 'P2'],\n"
            " certificate(credentialsId: 'c', keystoreVariable: 'KS', passwordVariable: 'KSP', "
            "aliasVariable: 'KA')]) {\n"
            "  sh 'echo T=$T U=$U P=$P UP=$UP KU=$KU KP=$KP A=$AWS_ACCESS_KEY_ID "
            "S=$AWS_SECRET_ACCESS_KEY U2=$U2 P2=$P2 KSP=$KSP KA=$KA'\n"
            "  sh 'echo base64=$(printf %s \"$P\" | base64); stat -c \"modes %a\" \"$K\" \"$F\"; "
            "od -An -tx1 $F; cat $K; cmp $F $KS && echo same'\n"
            "  sh 'python3 -c \"import urllib.parse,os; "
            "print(\\'url=\\' + urllib.parse.quote(os.environ[\\'P\\'], safe=str()))\"'\n"
            "  sh 'echo $K $F $KS > ../paths'\n"
            "}\n"
            "sh 'for p in $(cat ../paths); do test ! -e $p || echo left; done; echo T=[$T]'\n"
            "script { try { withCredentials([string(credentialsId: 'p', variable: 'X')]) { } } "
            "catch (e) { echo e.message } }\n"
            "error \"told it's-secret\"\n"
            "} } } }");
    log = strbuf_cstr(&b.log);
    CHECK(has(log,
              "T=**** U=ann P=**** UP=**** KU=git KP=**** A=**** S=**** U2=ann P2=**** KSP=**** "
              "KA=al"));
    CHECK(has(log, "base64=****"));
    CHECK(has(log, "url=****"));
    CHECK(has(log, "modes 400"));
    CHECK(has(log, " 00 01 02"));
    CHECK(has(log, "KEY"));
    CHECK(has(log, "same"));
    CHECK(!has(log, "left"));
    CHECK(has(log, "T=[]"));
    CHECK(has(log, "credential 'p' is of kind 'password'; 'text' is needed here"));
    CHECK(has(log, "ERROR: told ****"));
    CHECK_TEXT(b.outcome.reason, "told ****");
    CHECK(strstr(log, "secret-x") == NULL && strstr(log, "p4ss") == NULL);
    CHECK(strstr(log, "aws-secret") == NULL && strstr(log, "it's") == NULL);
}
