# Prevent the package from creating and starting a cluster of its own.
install -d /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/mirrorfleet.conf
