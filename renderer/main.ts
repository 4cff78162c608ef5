/** Starts the window. */
import { createPinia } from "pinia";
import { createApp } from "vue";
import App from "./App.vue";
import { createWindowRouter } from "./router.ts";
import "./styles.css";

createApp(App).use(createPinia()).use(createWindowRouter()).mount("#app");
