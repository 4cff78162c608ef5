/** @peculiar/x509 with what it needs loaded before it. Import it from here only. */
import "reflect-metadata";
export * from "@peculiar/x509";
