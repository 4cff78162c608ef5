/** The window's places. Hash URLs, so that a reload or a bookmark works from a file as from a server. */
import { createRouter, createWebHashHistory, type RouteLocationRaw } from "vue-router";
import type { GroupVersionResource } from "../common/kube/object.ts";
import StartView from "./views/StartView.vue";
import ClusterLayout from "./views/ClusterLayout.vue";
import OverviewView from "./views/OverviewView.vue";
import ResourceView from "./views/ResourceView.vue";

/** Stands for the core group and for "no namespace" in a path. */
const NONE = "-";

export function createWindowRouter() {
  return createRouter({
    history: createWebHashHistory(),
    routes: [
      { path: "/", name: "start", component: StartView },
      { path: "/new", name: "new", component: StartView, props: { always: true } },
      { path: "/operations/:id", name: "operation", component: () => import("./views/OperationView.vue"), props: true },
      { path: "/settings", name: "settings", component: () => import("./views/SettingsView.vue") },
      {
        path: "/c/:cluster",
        component: ClusterLayout,
        props: true,
        children: [
          { path: "", name: "overview", component: OverviewView, props: true },
          { path: "manifests", name: "manifests", component: () => import("./views/ManifestsView.vue"), props: true },
          {
            path: "r/:group/:version/:resource/:namespace?/:name?",
            name: "resource",
            component: ResourceView,
            props: (route) => ({
              cluster: String(route.params["cluster"]),
              group: route.params["group"] === NONE ? "" : String(route.params["group"]),
              version: String(route.params["version"]),
              resource: String(route.params["resource"]),
              selectedNamespace: route.params["namespace"] === NONE ? "" : String(route.params["namespace"] ?? ""),
              selectedName: String(route.params["name"] ?? ""),
            }),
          },
        ],
      },
      { path: "/:rest(.*)*", redirect: "/" },
    ],
  });
}

export function resourceRoute(
  cluster: string,
  gvr: GroupVersionResource,
  object?: { namespace?: string | undefined; name: string },
  tab?: string,
): RouteLocationRaw {
  return {
    name: "resource",
    params: {
      cluster,
      group: gvr.group || NONE,
      version: gvr.version,
      resource: gvr.resource,
      ...(object ? { namespace: object.namespace || NONE, name: object.name } : { namespace: "", name: "" }),
    },
    ...(tab && { query: { tab } }),
  };
}
