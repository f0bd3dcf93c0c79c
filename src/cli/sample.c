/* SPDX-License-Identifier: MIT */
#include "cli/sample.h"

#include <stdarg.h>
#include <stdlib.h>
#include "cli/follow.h"
#include "cli/local.h"
#include "io/file.h"
#include "model/image_ref.h"

/* Input as text with %s and %d: short, and it looks like the documentation. */
static struct json *call_text(struct sample *s, const char *service, const char *operation,
                              struct err *err, const char *format, ...) PRINTF_LIKE(5, 6);

static struct json *
call_text(struct sample *s, const char *service, const char *operation, struct err *err,
          const char *format, ...)
{
    cleanup_json struct json *input = NULL;
    char text[4096];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    input = json_parse(str_of(text), err);
    return input != NULL ? client_call(s->client, service, operation, input, err) : NULL;
}

static void
tell(struct sample *s, const char *what, const char *name)
{
    s->made++;
    progress_line(s->progress, "create", "%s %s", what, name);
}

bool
sample_make_repository(struct sample *s, struct err *err)
{
    cleanup_json struct json *found = NULL, *made = NULL;
    struct err cause = {0};

    found = call_text(s, "ecr", "DescribeRepositories", &cause,
                      "{\"repositoryNames\":[\"" SAMPLE_REPOSITORY "\"]}");
    if (found != NULL)
        return true;
    if (cause.code != ERR_REPOSITORY_NOT_FOUND)
        return *err = cause, false;
    made = call_text(s, "ecr", "CreateRepository", err,
                     "{\"repositoryName\":\"" SAMPLE_REPOSITORY "\"}");
    if (made == NULL)
        return err_context(err, "creating the repository");
    tell(s, "ECR repository", SAMPLE_REPOSITORY);
    return true;
}

bool
sample_make_cluster(struct sample *s, struct err *err)
{
    cleanup_json struct json *found = NULL, *made = NULL;
    const struct json *cluster;

    found = call_text(s, "ecs", "DescribeClusters", err, "{\"clusters\":[\"" SAMPLE_CLUSTER "\"]}");
    if (found == NULL)
        return false;
    cluster = json_at(json_get(found, "clusters"), 0);
    if (strcmp(json_get_cstr(cluster, "status", ""), "ACTIVE") == 0)
        return true;
    made = call_text(s, "ecs", "CreateCluster", err, "{\"clusterName\":\"" SAMPLE_CLUSTER "\"}");
    if (made == NULL)
        return err_context(err, "creating the cluster");
    tell(s, "ECS cluster", SAMPLE_CLUSTER);
    return true;
}

static bool
make_target_group(struct sample *s, struct err *err)
{
    cleanup_json struct json *found = NULL, *made = NULL, *changed = NULL;
    struct err cause = {0};

    found = call_text(s, "elbv2", "DescribeTargetGroups", &cause,
                      "{\"Names\":[\"" SAMPLE_TARGET_GROUP "\"]}");
    if (found == NULL && cause.code != ERR_TARGET_GROUP_NOT_FOUND)
        return *err = cause, false;
    if (found == NULL) {
        made = call_text(s, "elbv2", "CreateTargetGroup", err,
                         "{\"Name\":\"" SAMPLE_TARGET_GROUP
                         "\",\"Protocol\":\"HTTP\",\"Port\":80,\"VpcId\":\"vpc-00000000\","
                         "\"TargetType\":\"instance\",\"HealthCheckPath\":\"/"
                         "health\",\"HealthCheckIntervalSeconds\":5,"
                         "\"HealthCheckTimeoutSeconds\":2,\"HealthyThresholdCount\":2,"
                         "\"UnhealthyThresholdCount\":2}");
        if (made == NULL)
            return err_context(err, "creating the target group");
        tell(s, "target group", SAMPLE_TARGET_GROUP);
    }
    text_copy(
        s->target_group_arn, sizeof(s->target_group_arn),
        str_of(json_get_cstr(json_at(json_get(found != NULL ? found : made, "TargetGroups"), 0),
                             "TargetGroupArn", "")));
    if (found != NULL)
        return true;
    changed = call_text(s, "elbv2", "ModifyTargetGroupAttributes", err,
                        "{\"TargetGroupArn\":\"%s\",\"Attributes\":[{\"Key\":\"deregistration_"
                        "delay.timeout_seconds\","
                        "\"Value\":\"5\"}]}",
                        s->target_group_arn);
    return changed != NULL || err_context(err, "setting the deregistration delay");
}

static bool
make_listener(struct sample *s, const char *load_balancer_arn, struct err *err)
{
    cleanup_json struct json *found = NULL, *made = NULL;
    cleanup_free char *name = text_format("on port %d", s->listener_port);
    const struct json *listener;

    found = call_text(s, "elbv2", "DescribeListeners", err, "{\"LoadBalancerArn\":\"%s\"}",
                      load_balancer_arn);
    if (found == NULL)
        return false;
    listener = json_find(json_get(found, "Listeners"), "Protocol", "HTTP");
    if (listener != NULL) { /* whatever its port: it is there, and it stays */
        s->listener_port = (int)json_get_i64(listener, "Port", s->listener_port);
        return true;
    }
    /* AWS has no such case: its load balancers have addresses of their own. */
    if (local_port_is_taken((unsigned)s->listener_port))
        return err_set(err, ERR_USAGE,
                       "port %d belongs to another program: stop it, or choose another port for "
                       "the load balancer: naru up --listener-port N",
                       s->listener_port);
    made = call_text(
        s, "elbv2", "CreateListener", err,
        "{\"LoadBalancerArn\":\"%s\",\"Protocol\":\"HTTP\",\"Port\":%d,\"DefaultActions\":"
        "[{\"Type\":\"forward\",\"TargetGroupArn\":\"%s\"}]}",
        load_balancer_arn, s->listener_port, s->target_group_arn);
    if (made == NULL)
        return err_context(err, "creating the listener");
    tell(s, "listener", name);
    return true;
}

bool
sample_make_load_balancer(struct sample *s, struct err *err)
{
    cleanup_json struct json *found = NULL, *made = NULL;
    struct err cause = {0};

    found = call_text(s, "elbv2", "DescribeLoadBalancers", &cause,
                      "{\"Names\":[\"" SAMPLE_LOAD_BALANCER "\"]}");
    if (found == NULL && cause.code != ERR_LOAD_BALANCER_NOT_FOUND)
        return *err = cause, false;
    if (found == NULL) {
        made = call_text(s, "elbv2", "CreateLoadBalancer", err,
                         "{\"Name\":\"" SAMPLE_LOAD_BALANCER
                         "\",\"Type\":\"application\",\"Scheme\":\"internet-facing\","
                         "\"Subnets\":[\"subnet-00000001\",\"subnet-00000002\"]}");
        if (made == NULL)
            return err_context(err, "creating the load balancer");
        tell(s, "load balancer", SAMPLE_LOAD_BALANCER);
    }
    if (!make_target_group(s, err))
        return false;
    return make_listener(
        s,
        json_get_cstr(json_at(json_get(found != NULL ? found : made, "LoadBalancers"), 0),
                      "LoadBalancerArn", ""),
        err);
}

bool
sample_has_image(struct sample *s, bool *out, struct err *err)
{
    cleanup_json struct json *found = NULL;
    struct err cause = {0};

    found = call_text(s, "ecr", "DescribeImages", &cause,
                      "{\"repositoryName\":\"" SAMPLE_REPOSITORY
                      "\",\"imageIds\":[{\"imageTag\":\"latest\"}]}");
    if (found == NULL && cause.code != ERR_IMAGE_NOT_FOUND)
        return *err = cause, false;
    *out = found != NULL && json_size(json_get(found, "imageDetails")) > 0;
    return true;
}

/* The sample's own task-definition.json, with this installation's account and region in its image.
 */
bool
sample_make_task_definition(struct sample *s, struct err *err)
{
    const struct client_config *config = client_get_config(s->client);
    cleanup_free char *path = text_format("%s/task-definition.json", s->sample_dir);
    cleanup_free char *host = image_ref_ecr_host_of(str_of(config->account), str_of(config->region));
    cleanup_free char *image = text_format("%s/" SAMPLE_REPOSITORY ":latest", host);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *found = NULL, *read = NULL, *input = NULL, *made = NULL;
    struct err cause = {0};

    found = call_text(s, "ecs", "DescribeTaskDefinition", &cause,
                      "{\"taskDefinition\":\"" SAMPLE_REPOSITORY "\"}");
    if (found != NULL)
        return true;
    if (cause.code != ERR_CLIENT)
        return *err = cause, false;
    if (!file_read(path, 1 << 20, &text, err))
        return false;
    read = json_parse(strbuf_str(&text), err);
    if (read == NULL)
        return err_context(err, "%s", path);
    input = json_copy(read);
    json_set(json_at(json_get(input, "containerDefinitions"), 0), "image", json_text(image));
    made = client_call(s->client, "ecs", "RegisterTaskDefinition", input, err);
    if (made == NULL)
        return err_context(err, "registering the task definition");
    tell(s, "task definition", SAMPLE_REPOSITORY);
    return true;
}

bool
sample_make_service(struct sample *s, char *deployment_arn, struct err *err)
{
    cleanup_json struct json *found = NULL, *made = NULL;
    struct err cause = {0};

    deployment_arn[0] = '\0';
    found = service_describe(s->client, SAMPLE_CLUSTER, SAMPLE_SERVICE, &cause);
    if (found != NULL && strcmp(json_get_cstr(found, "status", ""), "ACTIVE") == 0)
        return true;
    if (found == NULL && cause.code != ERR_SERVICE_NOT_FOUND)
        return *err = cause, false;
    made = call_text(s, "ecs", "CreateService", err,
                     "{\"cluster\":\"" SAMPLE_CLUSTER "\",\"serviceName\":\"" SAMPLE_SERVICE
                     "\",\"taskDefinition\":\"" SAMPLE_REPOSITORY
                     "\",\"desiredCount\":%d,\"launchType\":\"EC2\",\"loadBalancers\":[{"
                     "\"targetGroupArn\":\"%s\","
                     "\"containerName\":\"my-app\",\"containerPort\":8080}],"
                     "\"deploymentConfiguration\":{\"maximumPercent\":200,"
                     "\"minimumHealthyPercent\":100,\"deploymentCircuitBreaker\":{\"enable\":true,"
                     "\"rollback\":true}}}",
                     SAMPLE_DESIRED_COUNT, s->target_group_arn);
    if (made == NULL)
        return err_context(err, "creating the service");
    tell(s, "service", SAMPLE_SERVICE);
    text_copy(deployment_arn, 1024,
              str_of(json_get_cstr(json_get(made, "service"), "currentServiceDeployment", "")));
    return true;
}
