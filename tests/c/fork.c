/* A forked child is told so by every call, at once, and its parent goes on: fork LIBRARY. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pellucid/pellucid.h>

int main(int argc, char **argv) {
  pellucid_get_api_fn get_api;
  const pellucid_api *api;
  pellucid_engine *engine = NULL, *other = NULL;
  pellucid_error *error = NULL;
  pellucid_mem memory;
  const char *json = NULL;
  int status = 0;
  pid_t child;
  void *library, *symbol;
  if (argc != 2 || (library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) == NULL) return 2;
  symbol = dlsym(library, PELLUCID_GET_API);
  memcpy(&get_api, &symbol, sizeof get_api);
  if (symbol == NULL || (api = get_api(PELLUCID_ABI, NULL)) == NULL) return 2;

  /* Before the first handle a fork is harmless: the child may use the library. */
  child = fork();
  if (child == 0) {
    _exit(api->engine_create(NULL, NULL, &engine, NULL) == PELLUCID_OK ? 0 : 1);
  }
  if (waitpid(child, &status, 0) != child || status != 0) return 3;

  if (api->engine_create(NULL, NULL, &engine, NULL) != PELLUCID_OK) return 4;
  memset(&memory, 0, sizeof memory);
  memory.struct_size = sizeof memory;
  child = fork();
  if (child == 0) {
    alarm(20);
    if (api->engine_memory(engine, &memory, &error) != PELLUCID_E_FORKED) _exit(11);
    if (api->error_code(error) != PELLUCID_E_FORKED) _exit(12);
    if (strstr(api->error_message(error), "forked") == NULL) _exit(13);
    if (strstr(api->error_json(error), "PELLUCID_E_FORKED") == NULL) _exit(14);
    api->error_release(error);
    if (api->list_models(engine, &json, NULL) != PELLUCID_E_FORKED || json != NULL) _exit(15);
    if (api->engine_create(NULL, NULL, &other, NULL) != PELLUCID_E_FORKED) _exit(16);
    if (api->job_cancel(NULL) != PELLUCID_E_FORKED) _exit(17);
    if (api->log_drain(engine, 1) != 0) _exit(18);
    api->engine_release(engine);
    _exit(0);
  }
  if (waitpid(child, &status, 0) != child) return 5;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "child: status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -status);
    return 6;
  }
  if (api->engine_memory(engine, &memory, NULL) != PELLUCID_OK) return 7;
  api->engine_release(engine);
  printf("ok\n");
  return 0;
}
