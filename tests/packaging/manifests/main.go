// Reads manifests as Kubernetes itself does: with its own types, and no field that they do not have.
//
//	usage: manifests FILE...
package main

import (
	"errors"
	"fmt"
	"os"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]any{
	"apps/v1 Deployment":                 &apps.Deployment{},
	"networking.k8s.io/v1 NetworkPolicy": &networking.NetworkPolicy{},
	"policy/v1 PodDisruptionBudget":      &policy.PodDisruptionBudget{},
	"v1 ConfigMap":                       &core.ConfigMap{},
	"v1 Secret":                          &core.Secret{},
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var header meta.TypeMeta
	if err := yaml.Unmarshal(text, &header); err != nil {
		return err
	}
	object, known := kinds[header.APIVersion+" "+header.Kind]
	if !known {
		return fmt.Errorf("there is no %s in %s", header.Kind, header.APIVersion)
	}
	// The decoder of Kubernetes, for which the case of letters matters.
	document, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	strict, err := json.UnmarshalStrict(document, object)
	return errors.Join(append(strict, err)...)
}

func main() {
	status := 0
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			status = 1
		}
	}
	os.Exit(status)
}
