#!/bin/sh
# Made by Clean Start: migrate << project >> by its one-shot task, and wait for it.
# Run it before the service is updated. It exits 0 only where the database has every migration of the build:
#
#   BUILD=48 ENVIRONMENT=<< environments[-1] >> CLUSTER=… SUBNETS=subnet-1,subnet-2 SECURITY_GROUPS=sg-1 \
#     sh ecs-migrate.sh && aws ecs update-service …
#
# It needs the AWS CLI, and leave for ecs:RunTask, ecs:DescribeTasks and iam:PassRole.
set -eu
: "${BUILD:?BUILD is the number of the registered build}"
: "${ENVIRONMENT:?ENVIRONMENT is one of << environments | join(", ") >>}"
: "${CLUSTER:?CLUSTER is the ECS cluster}" "${SUBNETS:?SUBNETS, with commas}" "${SECURITY_GROUPS:?SECURITY_GROUPS, with commas}"
case "$ENVIRONMENT" in
  << environments | join(" | ") >>) ;;
  *) echo "ENVIRONMENT is one of << environments | join(", ") >>, not $ENVIRONMENT." >&2; exit 1 ;;
esac
case "$BUILD" in
  *[!0-9]*) echo "BUILD is a number, not $BUILD." >&2; exit 1 ;;
esac

place="<< project >>/$ENVIRONMENT"
task=$(aws ecs run-task \
  --cluster "$CLUSTER" \
  --task-definition << project >>-migrate \
  --launch-type FARGATE \
  --network-configuration "awsvpcConfiguration={subnets=[$SUBNETS],securityGroups=[$SECURITY_GROUPS],assignPublicIp=${PUBLIC_IP:-DISABLED}}" \
  --overrides '{"containerOverrides": [{"name": "migrate", "command":
    ["migrate", "'"$place"'", "--build", "'"$BUILD"'", "--confirm", "'"$place"'", "--wait"]}]}' \
  --query 'tasks[0].taskArn' --output text)
# Where there is no capacity, run-task answers without a task, and with exit code 0.
if [ -z "$task" ] || [ "$task" = None ]; then
  echo "Amazon ECS started no task. $place was not migrated." >&2
  exit 1
fi

describe() {
  aws ecs describe-tasks --cluster "$CLUSTER" --tasks "$task" --query "$1" --output text
}

# `aws ecs wait tasks-stopped` gives up after ten minutes, and a migration may take longer.
while :; do
  status=$(describe 'tasks[0].lastStatus')
  case "$status" in
    STOPPED) break ;;
    PROVISIONING | PENDING | ACTIVATING | RUNNING | DEACTIVATING | STOPPING | DEPROVISIONING) sleep "${PAUSE:-5}" ;;
    *) echo "The task $task cannot be found any more ($status): look at the dashboard, << url >>/jobs." >&2; exit 1 ;;
  esac
done
code=$(describe 'tasks[0].containers[0].exitCode')
if [ "$code" != 0 ]; then
  echo "$place was not migrated: exit code $code, $(describe 'tasks[0].stoppedReason'). See << url >>/jobs." >&2
  exit 1
fi
echo "$place has every migration of build #$BUILD."
