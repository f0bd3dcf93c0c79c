/* SPDX-License-Identifier: MIT */
/* acm_list.c - ListCertificates: filters, order, pages. */
#include <stdio.h>
#include "api/acm.h"
#include "base/crypto.h"

#define PAGE_DEFAULT 1000
#define KEY_SIZE (ARN_SIZE + 24)

struct row {
    const struct certificate *certificate;
    char key[KEY_SIZE]; /* when it was made, then its ARN: what rows are sorted by and pages end with */
};

/* Is one of the wanted among the names?  Nothing wanted: yes. */
static bool
has_name(const struct json *names, const struct json *wanted)
{
    bool has = json_size(wanted) == 0;

    for (size_t i = 0; i < json_size(names) && !has; i++)
        has = json_has_text(wanted, json_get_cstr(json_at(names, i), "Name", ""));
    return has;
}

static bool
is_wanted(const struct request *rq, const struct certificate *c)
{
    const struct json *statuses = json_get(rq->input, "CertificateStatuses");
    const struct json *includes = json_get(rq->input, "Includes"), *types = json_get(includes, "keyTypes");
    const char *algorithm = json_get_cstr(c->facts, "KeyAlgorithm", "");

    if (!request_is_region_of(rq, c->arn) || (json_size(statuses) > 0 && !json_has_text(statuses, acm_status(rq, c))))
        return false;
    /* Whoever asks for no types gets the short RSA ones that have a domain, as ever. */
    if (json_size(types) > 0 ? !json_has_text(types, algorithm)
                             : json_get(c->facts, "DomainName") == NULL ||
                                   (strcmp(algorithm, "RSA_1024") != 0 && strcmp(algorithm, "RSA_2048") != 0))
        return false;
    return has_name(json_get(c->facts, "KeyUsages"), json_get(includes, "keyUsage")) &&
           has_name(json_get(c->facts, "ExtendedKeyUsages"), json_get(includes, "extendedKeyUsage"));
}

static struct json *
names_of(const struct json *list)
{
    struct json *names = json_array();

    for (size_t i = 0; i < json_size(list); i++)
        json_append(names, json_ref(json_get(json_at(list, i), "Name")));
    return names;
}

static struct json *
summary_json(const struct request *rq, const struct certificate *c)
{
    struct json *o = json_object();

    acm_set_common(rq, c, o);
    json_set(o, "SubjectAlternativeNameSummaries", json_ref(json_get(c->facts, "SubjectAlternativeNames")));
    json_set(o, "HasAdditionalSubjectAlternativeNames", json_bool(false));
    json_set(o, "KeyUsages", names_of(json_get(c->facts, "KeyUsages")));
    json_set(o, "ExtendedKeyUsages", names_of(json_get(c->facts, "ExtendedKeyUsages")));
    json_set(o, "InUse", json_bool(core_certificate_in_use(rq->core, c->arn)));
    return o;
}

static int
compare_rows(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->key, ((const struct row *)b)->key);
}

/* The rows that are asked for, in the order of the answer. */
static struct row *
collect(const struct request *rq, bool is_descending, size_t *count_out)
{
    size_t count = 0;
    struct row *rows, swap;

    for (const struct certificate *c = rq->core->certificates; c != NULL; c = c->next)
        count++;
    rows = mem_new((count + 1) * sizeof(*rows));
    count = 0;
    for (const struct certificate *c = rq->core->certificates; c != NULL; c = c->next) {
        if (!is_wanted(rq, c))
            continue;
        rows[count].certificate = c;
        snprintf(rows[count++].key, KEY_SIZE, "%020lld/%s", (long long)c->created_at_ms, c->arn);
    }
    qsort(rows, count, sizeof(*rows), compare_rows);
    for (size_t i = 0; is_descending && i < count / 2; i++)
        swap = rows[i], rows[i] = rows[count - 1 - i], rows[count - 1 - i] = swap;
    *count_out = count;
    return rows;
}

/* The key behind which the page begins; "" for the first page. */
static bool
read_token(const struct request *rq, struct strbuf *out, struct err *err)
{
    const char *token = json_get_cstr(rq->input, "NextToken", NULL);

    return token == NULL ||
           (base64_decode(out, str_of(token)) && str_starts(strbuf_str(out), STR("acm1:")) &&
            memchr(out->at, '\0', out->len) == NULL) ||
           err_set(err, ERR_INVALID_ARGS, "The NextToken is none that was given out.");
}

static void
set_token(struct json *out, const char *last)
{
    cleanup_free char *text = text_format("acm1:%s", last);
    cleanup(strbuf_done) struct strbuf token = {0};

    base64_encode(&token, str_of(text));
    json_set(out, "NextToken", json_text(strbuf_cstr(&token)));
}

bool
acm_list(struct request *rq, struct json *out, struct err *err)
{
    const bool is_descending = strcmp(json_get_cstr(rq->input, "SortOrder", ""), "DESCENDING") == 0;
    const int64_t limit = json_get_i64(rq->input, "MaxItems", PAGE_DEFAULT);
    cleanup(strbuf_done) struct strbuf token = {0};
    cleanup_free struct row *rows = NULL;
    struct json *list;
    const char *after, *last = "";
    size_t count;

    if ((json_get(rq->input, "SortBy") == NULL) != (json_get(rq->input, "SortOrder") == NULL))
        return err_set(err, ERR_VALIDATION, "SortBy and SortOrder must be given together.");
    if (!read_token(rq, &token, err))
        return false;
    after = token.len > 0 ? token.at + 5 : "";
    rows = collect(rq, is_descending, &count);
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        const int order = strcmp(rows[i].key, after);

        if (after[0] != '\0' && (is_descending ? order >= 0 : order <= 0))
            continue;
        if ((int64_t)json_size(list) == limit) {
            set_token(out, last);
            break;
        }
        json_append(list, summary_json(rq, rows[i].certificate));
        last = rows[i].key;
    }
    json_set(out, "CertificateSummaryList", list);
    return true;
}
